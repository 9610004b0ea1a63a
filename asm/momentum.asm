; The update with momentum: v = momentum v + dW, then W = W - learning_rate v, layer by layer.
;
; Every weight and bias has a velocity v, which begins at 0; see sgd_momentum_sse2.asm.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"

    default rel
    section .text

    extern  sgd_momentum                        ; kernels.asm
    extern  learning_rate, momentum             ; options.asm

    global  update_with_momentum:function (update_with_momentum.end - update_with_momentum)

;   void update_with_momentum(void)
;   reads  dW1, dbias1 .. dbias3, learning_rate, momentum
;   writes W1, b1, W2, b2, W3, b3, vW1, vb1, vW2, vb2, vW3, vb3
;   clobbers what a call may
update_with_momentum:
    sub     rsp, 8                              ; calls are 16-byte aligned

    PROBE   enter_momentum_W1
    lea     rdi, [W1]
    lea     rsi, [dW1]
    lea     rdx, [vW1]
    mov     ecx, INPUTS * HIDDEN1
    movss   xmm0, [learning_rate]
    movss   xmm1, [momentum]
    call    [sgd_momentum]
    PROBE   momentum_W1

    lea     rdi, [b1]
    lea     rsi, [dbias1]
    lea     rdx, [vb1]
    mov     ecx, HIDDEN1
    movss   xmm0, [learning_rate]
    movss   xmm1, [momentum]
    call    [sgd_momentum]
    PROBE   momentum_b1

    lea     rdi, [W2]
    lea     rsi, [dW2]
    lea     rdx, [vW2]
    mov     ecx, HIDDEN1 * HIDDEN2
    movss   xmm0, [learning_rate]
    movss   xmm1, [momentum]
    call    [sgd_momentum]
    PROBE   momentum_W2

    lea     rdi, [b2]
    lea     rsi, [dbias2]
    lea     rdx, [vb2]
    mov     ecx, HIDDEN2
    movss   xmm0, [learning_rate]
    movss   xmm1, [momentum]
    call    [sgd_momentum]
    PROBE   momentum_b2

    lea     rdi, [W3]
    lea     rsi, [dW3]
    lea     rdx, [vW3]
    mov     ecx, HIDDEN2 * CLASSES
    movss   xmm0, [learning_rate]
    movss   xmm1, [momentum]
    call    [sgd_momentum]
    PROBE   momentum_W3

    lea     rdi, [b3]
    lea     rsi, [dbias3]
    lea     rdx, [vb3]
    mov     ecx, CLASSES
    movss   xmm0, [learning_rate]
    movss   xmm1, [momentum]
    call    [sgd_momentum]
    PROBE   momentum_b3

    add     rsp, 8
    ret
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
