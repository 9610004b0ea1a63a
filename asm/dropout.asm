; Dropout: h = h * mask in training, grad_h = grad_h * mask on the way back.
;
; Every step draws new masks, so no neuron can rely on another one being there. The test
; drops nothing; see dropout_mask_sse2.asm why it needs no correction.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"

    default rel
    section .text

    extern  dropout_mask, dropout               ; kernels.asm
    extern  dropout_rate                        ; options.asm

    global  drop_hidden1:function (drop_hidden1.end - drop_hidden1)
    global  drop_hidden2:function (drop_hidden2.end - drop_hidden2)
    global  drop_gradient2:function (drop_gradient2.end - drop_gradient2)
    global  drop_gradient1:function (drop_gradient1.end - drop_gradient1)

;   void drop_hidden1(void)
;   h1 = h1 * a new mask1 for batch_rows rows
;   clobbers what a call may
drop_hidden1:
    sub     rsp, 8                              ; calls are 16-byte aligned

    PROBE   enter_drop_mask1
    lea     rdi, [mask1]
    lea     rsi, [dropout_state]
    imul    rdx, [batch_rows], HIDDEN1
    movss   xmm0, [dropout_rate]
    call    [dropout_mask]
    PROBE   drop_mask1

    lea     rdi, [h1]
    lea     rsi, [mask1]
    imul    rdx, [batch_rows], HIDDEN1
    call    [dropout]
    PROBE   dropout1

    add     rsp, 8
    ret
.end:

;   void drop_hidden2(void)
;   h2 = h2 * a new mask2 for batch_rows rows
;   clobbers what a call may
drop_hidden2:
    sub     rsp, 8                              ; calls are 16-byte aligned

    PROBE   enter_drop_mask2
    lea     rdi, [mask2]
    lea     rsi, [dropout_state]
    imul    rdx, [batch_rows], HIDDEN2
    movss   xmm0, [dropout_rate]
    call    [dropout_mask]
    PROBE   drop_mask2

    lea     rdi, [h2]
    lea     rsi, [mask2]
    imul    rdx, [batch_rows], HIDDEN2
    call    [dropout]
    PROBE   dropout2

    add     rsp, 8
    ret
.end:

;   void drop_gradient2(void)
;   grad_h2 = grad_h2 * mask2 for batch_rows rows: what was dropped had no part in the loss
;   clobbers what a call may
drop_gradient2:
    sub     rsp, 8                              ; calls are 16-byte aligned
    PROBE   enter_dropout_grad2
    lea     rdi, [grad_h2]
    lea     rsi, [mask2]
    imul    rdx, [batch_rows], HIDDEN2
    call    [dropout]
    PROBE   dropout_grad2
    add     rsp, 8
    ret
.end:

;   void drop_gradient1(void)
;   grad_h1 = grad_h1 * mask1 for batch_rows rows: what was dropped had no part in the loss
;   clobbers what a call may
drop_gradient1:
    sub     rsp, 8                              ; calls are 16-byte aligned
    PROBE   enter_dropout_grad1
    lea     rdi, [grad_h1]
    lea     rsi, [mask1]
    imul    rdx, [batch_rows], HIDDEN1
    call    [dropout]
    PROBE   dropout_grad1
    add     rsp, 8
    ret
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
