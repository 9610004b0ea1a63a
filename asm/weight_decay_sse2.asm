; grad = grad + decay * param, float32, SSE2: the gradient of the loss with
; decay / 2 times the square of every weight added, which pulls the weights towards 0.

%include "network.inc"

    default rel
    section .text

    global  weight_decay_sse2:function (weight_decay_sse2.end - weight_decay_sse2)

;   void weight_decay_sse2(float *grad, const float *param, int64_t count, float decay)
;   rdi  = grad   [count]  read and written
;   rsi  = param  [count]
;   rdx  = count  >= 0
;   xmm0 = decay
;   clobbers rdx, rdi, rsi, xmm0-2
%define grad        rdi
%define param       rsi
%define count       rdx                         ; numbers still to do
%define decay       xmm0                        ; in all four lanes
%define change      xmm1
%define value       xmm2

weight_decay_sse2:
    shufps  decay, decay, 0
.loop:
    sub     count, 4
    jl      .tail
    movups  change, [param]
    mulps   change, decay
    movups  value, [grad]
    addps   value, change
    movups  [grad], value
    add     grad, 4 * F32
    add     param, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movss   change, [param]
    mulss   change, decay
    movss   value, [grad]
    addss   value, change
    movss   [grad], value
    add     grad, F32
    add     param, F32
    dec     count
    jmp     .one

.done:
    ret
.end:

%undef grad
%undef param
%undef count
%undef decay
%undef change
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
