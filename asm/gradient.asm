; The update: W = W - learning_rate dW and b = b - learning_rate dbias, layer by layer.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"

    default rel
    section .text

    extern  sgd                                 ; kernels.asm
    extern  learning_rate                       ; options.asm

    global  update:function (update.end - update)

;   void update(void)
;   reads  dW1 .. dbias3, learning_rate
;   writes W1, b1, W2, b2, W3, b3
;   clobbers what a call may
update:
    sub     rsp, 8                              ; calls are 16-byte aligned

    lea     rdi, [W1]
    lea     rsi, [dW1]
    mov     edx, INPUTS * HIDDEN1
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_W1

    lea     rdi, [b1]
    lea     rsi, [dbias1]
    mov     edx, HIDDEN1
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_b1

    lea     rdi, [W2]
    lea     rsi, [dW2]
    mov     edx, HIDDEN1 * HIDDEN2
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_W2

    lea     rdi, [b2]
    lea     rsi, [dbias2]
    mov     edx, HIDDEN2
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_b2

    lea     rdi, [W3]
    lea     rsi, [dW3]
    mov     edx, HIDDEN2 * CLASSES
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_W3

    lea     rdi, [b3]
    lea     rsi, [dbias3]
    mov     edx, CLASSES
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_b3

    add     rsp, 8
    ret
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
