; The backward pass: the gradient of the loss, from the last layer to the first.
;
;   grad_z3 = (p - onehot(y)) / rows
;   dW3 = h2^T grad_z3,  dbias3 = sum of grad_z3,  grad_h2 = grad_z3 W3^T
;   grad_z2 = grad_h2 where z2 > 0, else 0
;   dW2 = h1^T grad_z2,  dbias2 = sum of grad_z2,  grad_h1 = grad_z2 W2^T
;   grad_z1 = grad_h1 where z1 > 0, else 0
;   dW1 = x^T grad_z1,   dbias1 = sum of grad_z1
;
; With dropout, what was dropped from h takes no gradient either. dW1 is left to gradient.asm
; where the update makes it on the way, see RULE_FUSED there.
;
; No weight changes before the whole pass is done: grad_h needs the weights that made z.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"
%include "update.inc"

    default rel
    section .text

    extern  dense_grad_weight                   ; kernels.asm
    extern  dense_grad_bias
    extern  dense_grad_input
    extern  relu_grad
    extern  cross_entropy_grad
    extern  drop_gradient1, drop_gradient2      ; dropout.asm
    extern  update_rule, dropout_on             ; options.asm

    global  backprop:function (backprop.end - backprop)

;   void backprop(void)
;   reads  x, y, z1, h1, z2, h2, p, W2, W3, batch_rows
;   writes grad_z3 .. dbias1
;   clobbers what a call may
%define rows        rbx

backprop:
    push    rbx                                 ; 8 + 8: calls are 16-byte aligned
    mov     rows, [batch_rows]

; ---- layer 3

    PROBE   enter_grad_z3
    lea     rdi, [p]
    lea     rsi, [y]
    lea     rdx, [grad_z3]
    mov     rcx, rows
    mov     r8d, CLASSES
    call    [cross_entropy_grad]
    PROBE   grad_z3

    lea     rdi, [h2]
    lea     rsi, [grad_z3]
    lea     rdx, [dW3]
    mov     rcx, rows
    mov     r8d, HIDDEN2
    mov     r9d, CLASSES
    call    [dense_grad_weight]
    PROBE   dW3

    lea     rdi, [grad_z3]
    lea     rsi, [dbias3]
    mov     rdx, rows
    mov     ecx, CLASSES
    call    [dense_grad_bias]
    PROBE   dbias3

    lea     rdi, [grad_z3]
    lea     rsi, [W3]
    lea     rdx, [grad_h2]
    mov     rcx, rows
    mov     r8d, HIDDEN2
    mov     r9d, CLASSES
    call    [dense_grad_input]
    PROBE   grad_h2
    cmp     qword [dropout_on], 0
    je      .layer2
    call    drop_gradient2
.layer2:

; ---- layer 2

    PROBE   enter_grad_z2
    lea     rdi, [grad_h2]
    lea     rsi, [z2]
    lea     rdx, [grad_z2]
    imul    rcx, rows, HIDDEN2
    call    [relu_grad]
    PROBE   grad_z2

    lea     rdi, [h1]
    lea     rsi, [grad_z2]
    lea     rdx, [dW2]
    mov     rcx, rows
    mov     r8d, HIDDEN1
    mov     r9d, HIDDEN2
    call    [dense_grad_weight]
    PROBE   dW2

    lea     rdi, [grad_z2]
    lea     rsi, [dbias2]
    mov     rdx, rows
    mov     ecx, HIDDEN2
    call    [dense_grad_bias]
    PROBE   dbias2

    lea     rdi, [grad_z2]
    lea     rsi, [W2]
    lea     rdx, [grad_h1]
    mov     rcx, rows
    mov     r8d, HIDDEN1
    mov     r9d, HIDDEN2
    call    [dense_grad_input]
    PROBE   grad_h1
    cmp     qword [dropout_on], 0
    je      .layer1
    call    drop_gradient1
.layer1:

; ---- layer 1: nothing below it wants a gradient

    PROBE   enter_grad_z1
    lea     rdi, [grad_h1]
    lea     rsi, [z1]
    lea     rdx, [grad_z1]
    imul    rcx, rows, HIDDEN1
    call    [relu_grad]
    PROBE   grad_z1

    cmp     qword [update_rule], RULE_FUSED
    je      .dbias1                             ; then gradient.asm makes dW1 and uses it at once
    lea     rdi, [x]
    lea     rsi, [grad_z1]
    lea     rdx, [dW1]
    mov     rcx, rows
    mov     r8d, INPUTS
    mov     r9d, HIDDEN1
    call    [dense_grad_weight]
    PROBE   dW1

.dbias1:
    PROBE   enter_dbias1
    lea     rdi, [grad_z1]
    lea     rsi, [dbias1]
    mov     rdx, rows
    mov     ecx, HIDDEN1
    call    [dense_grad_bias]
    PROBE   dbias1

    pop     rbx
    ret
.end:

%undef rows

    section .note.GNU-stack noalloc noexec nowrite progbits
