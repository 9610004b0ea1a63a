; Weight decay: dW = dW + decay W, layer by layer, before the update.
;
; The biases do not decay: they are few, and pulling them to 0 moves what a neuron answers to
; without making the network any simpler.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"

    default rel
    section .text

    extern  weight_decay                        ; kernels.asm
    extern  decay                               ; options.asm

    global  decay_gradients:function (decay_gradients.end - decay_gradients)

;   void decay_gradients(void)
;   reads  W1, W2, W3, decay
;   writes dW1, dW2, dW3
;   clobbers what a call may
decay_gradients:
    sub     rsp, 8                              ; calls are 16-byte aligned

    PROBE   enter_decay_W1
    lea     rdi, [dW1]
    lea     rsi, [W1]
    mov     edx, INPUTS * HIDDEN1
    movss   xmm0, [decay]
    call    [weight_decay]
    PROBE   decay_W1

    lea     rdi, [dW2]
    lea     rsi, [W2]
    mov     edx, HIDDEN1 * HIDDEN2
    movss   xmm0, [decay]
    call    [weight_decay]
    PROBE   decay_W2

    lea     rdi, [dW3]
    lea     rsi, [W3]
    mov     edx, HIDDEN2 * CLASSES
    movss   xmm0, [decay]
    call    [weight_decay]
    PROBE   decay_W3

    add     rsp, 8
    ret
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
