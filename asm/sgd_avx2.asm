; param = param - rate * grad, float32, AVX2: one step of stochastic gradient descent.

%include "network.inc"

    default rel
    section .text

    global  sgd_avx2:function (sgd_avx2.end - sgd_avx2)

;   void sgd_avx2(float *param, const float *grad, int64_t count, float rate)
;   rdi  = param  [count]  read and written
;   rsi  = grad   [count]
;   rdx  = count  >= 0
;   xmm0 = rate   the learning rate
;   clobbers rdx, rdi, rsi, ymm0-2
%define param       rdi
%define grad        rsi
%define count       rdx                         ; numbers still to do
%define rate        ymm0                        ; in all lanes
%define change      ymm1
%define value       ymm2

sgd_avx2:
    vbroadcastss rate, xmm0
.loop:
    sub     count, 8
    jl      .tail
    vmulps  change, rate, [grad]
    vmovups value, [param]
    vsubps  value, value, change
    vmovups [param], value
    add     param, 8 * F32
    add     grad, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    vmulss  xmm1, xmm0, [grad]
    vmovss  xmm2, [param]
    vsubss  xmm2, xmm2, xmm1
    vmovss  [param], xmm2
    add     param, F32
    add     grad, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef param
%undef grad
%undef count
%undef rate
%undef change
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
