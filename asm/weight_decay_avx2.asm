; grad = grad + decay * param, float32, AVX2: the gradient of the loss with
; decay / 2 times the square of every weight added, which pulls the weights towards 0.

%include "network.inc"

    default rel
    section .text

    global  weight_decay_avx2:function (weight_decay_avx2.end - weight_decay_avx2)

;   void weight_decay_avx2(float *grad, const float *param, int64_t count, float decay)
;   rdi  = grad   [count]  read and written
;   rsi  = param  [count]
;   rdx  = count  >= 0
;   xmm0 = decay
;   clobbers rdx, rdi, rsi, ymm0, ymm1
%define grad        rdi
%define param       rsi
%define count       rdx                         ; numbers still to do
%define decay       ymm0                        ; in all lanes
%define value       ymm1

weight_decay_avx2:
    vbroadcastss decay, xmm0
.loop:
    sub     count, 8
    jl      .tail
    vmulps  value, decay, [param]
    vaddps  value, value, [grad]
    vmovups [grad], value
    add     grad, 8 * F32
    add     param, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    vmulss  xmm1, xmm0, [param]
    vaddss  xmm1, xmm1, [grad]
    vmovss  [grad], xmm1
    add     grad, F32
    add     param, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef grad
%undef param
%undef count
%undef decay
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
