; param = param - rate * grad, float32, SSE2: one step of stochastic gradient descent.

%include "network.inc"

    default rel
    section .text

    global  sgd_sse2:function (sgd_sse2.end - sgd_sse2)

;   void sgd_sse2(float *param, const float *grad, int64_t count, float rate)
;   rdi  = param  [count]  read and written
;   rsi  = grad   [count]
;   rdx  = count  >= 0
;   xmm0 = rate   the learning rate
;   clobbers rdx, rdi, rsi, xmm0-2
%define param       rdi
%define grad        rsi
%define count       rdx                         ; numbers still to do
%define rate        xmm0                        ; in all four lanes
%define change      xmm1
%define value       xmm2

sgd_sse2:
    shufps  rate, rate, 0
.loop:
    sub     count, 4
    jl      .tail
    movups  change, [grad]
    mulps   change, rate
    movups  value, [param]
    subps   value, change
    movups  [param], value
    add     param, 4 * F32
    add     grad, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movss   change, [grad]
    mulss   change, rate
    movss   value, [param]
    subss   value, change
    movss   [param], value
    add     param, F32
    add     grad, F32
    dec     count
    jmp     .one

.done:
    ret
.end:

%undef param
%undef grad
%undef count
%undef rate
%undef change
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
