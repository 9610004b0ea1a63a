; The update: W = W - learning_rate dW and b = b - learning_rate dbias, layer by layer.
;
; update_rule says how, see update.inc. W1, nine tenths of all weights, is the dearest: with
; RULE_FUSED its gradient x^T grad_z1 is made here, row by row, and taken off while it is still
; in registers: one pass over W1 instead of one over dW1 and another over both. Plain descent
; needs no more of dW1; decay.asm and momentum.asm do.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"
%include "update.inc"

    default rel
    section .text

    extern  sgd, dense_grad_weight_sgd          ; kernels.asm
    extern  learning_rate, update_rule, decay_on  ; options.asm
    extern  decay_gradients                     ; decay.asm
    extern  update_with_momentum                ; momentum.asm

    global  update:function (update.end - update)

;   void update(void)
;   reads  dW1 or x and grad_z1, dbias1 .. dbias3, learning_rate, update_rule, batch_rows
;   writes W1, b1, W2, b2, W3, b3
;   clobbers what a call may
update:
    sub     rsp, 8                              ; calls are 16-byte aligned

    cmp     qword [decay_on], 0
    je      .decayed
    call    decay_gradients
.decayed:
    cmp     qword [update_rule], RULE_MOMENTUM
    je      .momentum
    cmp     qword [update_rule], RULE_SEPARATE
    je      .W1
    PROBE   enter_dW1_update_W1
    lea     rdi, [x]
    lea     rsi, [grad_z1]
    lea     rdx, [W1]
    mov     rcx, [batch_rows]
    mov     r8d, INPUTS
    mov     r9d, HIDDEN1
    movss   xmm0, [learning_rate]
    call    [dense_grad_weight_sgd]
    PROBE   dW1_update_W1
    jmp     .b1

.W1:
    PROBE   enter_update_W1
    lea     rdi, [W1]
    lea     rsi, [dW1]
    mov     edx, INPUTS * HIDDEN1
    movss   xmm0, [learning_rate]
    call    [sgd]
    PROBE   update_W1

.b1:
    PROBE   enter_update_b1
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

.momentum:
    add     rsp, 8
    jmp     update_with_momentum                ; its ret is ours
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
