; The forward pass, from pixels to loss:
;
;   z1 = x W1 + b1,  h1 = relu(z1),  z2 = h1 W2 + b2,  h2 = relu(z2),  z3 = h2 W3 + b3,
;   p = softmax(z3),  loss = cross-entropy(z3, y)
;
; With dropout, h1 and h2 are thinned out before the next layer sees them. `forward` runs one
; step's pass and has a probe behind every operation. The operations are functions of their
; own because evaluate.asm runs them too, with probes of its own.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"

    default rel
    section .text

    extern  dense, dense_sparse, relu           ; kernels.asm
    extern  softmax, cross_entropy
    extern  drop_hidden1, drop_hidden2          ; dropout.asm
    extern  dropout_on                          ; options.asm

    global  forward:function (forward.end - forward)
    global  dense1:function (dense1.end - dense1)
    global  relu1:function (relu1.end - relu1)
    global  dense2:function (dense2.end - dense2)
    global  relu2:function (relu2.end - relu2)
    global  dense3:function (dense3.end - dense3)
    global  softmax3:function (softmax3.end - softmax3)
    global  mean_loss:function (mean_loss.end - mean_loss)

;   void forward(void)
;   reads  x, y, the weights and biases, batch_rows
;   writes z1, h1, z2, h2, z3, p, loss
;   clobbers what a call may
forward:
    sub     rsp, 8                              ; calls are 16-byte aligned

    PROBE   enter_dense1
    call    dense1
    PROBE   dense1
    call    relu1
    PROBE   relu1
    cmp     qword [dropout_on], 0
    je      .layer2
    call    drop_hidden1
.layer2:
    PROBE   enter_dense2
    call    dense2
    PROBE   dense2
    call    relu2
    PROBE   relu2
    cmp     qword [dropout_on], 0
    je      .layer3
    call    drop_hidden2
.layer3:
    PROBE   enter_dense3
    call    dense3
    PROBE   dense3

    call    softmax3
    PROBE   softmax
    call    mean_loss
    PROBE   loss

    add     rsp, 8
    ret
.end:

;   void dense1(void)
;   z1 = x W1 + b1 for batch_rows rows
;   clobbers what a call may
dense1:
    lea     rdi, [x]
    lea     rsi, [W1]
    lea     rdx, [b1]
    lea     rcx, [z1]
    mov     r8, [batch_rows]
    mov     r9d, INPUTS
    push    HIDDEN1                             ; the seventh argument; it also aligns the call
    call    [dense_sparse]                      ; four of five pixels are black
    add     rsp, 8
    ret
.end:

;   void relu1(void)
;   h1 = relu(z1) for batch_rows rows
;   clobbers what a call may
relu1:
    lea     rdi, [z1]
    lea     rsi, [h1]
    imul    rdx, [batch_rows], HIDDEN1
    jmp     [relu]                              ; its ret is ours
.end:

;   void dense2(void)
;   z2 = h1 W2 + b2 for batch_rows rows
;   clobbers what a call may
dense2:
    lea     rdi, [h1]
    lea     rsi, [W2]
    lea     rdx, [b2]
    lea     rcx, [z2]
    mov     r8, [batch_rows]
    mov     r9d, HIDDEN1
    push    HIDDEN2                             ; the seventh argument; it also aligns the call
    call    [dense]
    add     rsp, 8
    ret
.end:

;   void relu2(void)
;   h2 = relu(z2) for batch_rows rows
;   clobbers what a call may
relu2:
    lea     rdi, [z2]
    lea     rsi, [h2]
    imul    rdx, [batch_rows], HIDDEN2
    jmp     [relu]                              ; its ret is ours
.end:

;   void dense3(void)
;   z3 = h2 W3 + b3 for batch_rows rows
;   clobbers what a call may
dense3:
    lea     rdi, [h2]
    lea     rsi, [W3]
    lea     rdx, [b3]
    lea     rcx, [z3]
    mov     r8, [batch_rows]
    mov     r9d, HIDDEN2
    push    CLASSES                             ; the seventh argument; it also aligns the call
    call    [dense]
    add     rsp, 8
    ret
.end:

;   void softmax3(void)
;   p = softmax(z3) for batch_rows rows
;   clobbers what a call may
softmax3:
    lea     rdi, [z3]
    lea     rsi, [p]
    mov     rdx, [batch_rows]
    mov     ecx, CLASSES
    jmp     [softmax]                           ; its ret is ours
.end:

;   void mean_loss(void)
;   loss = cross-entropy(z3, y), the mean over batch_rows rows
;   clobbers what a call may
mean_loss:
    lea     rdi, [z3]
    lea     rsi, [y]
    lea     rdx, [loss]
    mov     rcx, [batch_rows]
    mov     r8d, CLASSES
    jmp     [cross_entropy]                     ; its ret is ours
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
