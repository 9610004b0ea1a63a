; v = momentum * v + grad, then param = param - rate * v, float32, AVX2.
;
; The velocity remembers earlier gradients, each step less of them: where they agree the
; parameter gathers speed, up to 1 / (1 - momentum) times the plain step, and where they
; alternate it stays. The learning rate is outside of v, as in Sutskever et al., "On the
; importance of initialization and momentum in deep learning", ICML 2013.

%include "network.inc"

    default rel
    section .text

    global  sgd_momentum_avx2:function (sgd_momentum_avx2.end - sgd_momentum_avx2)

;   void sgd_momentum_avx2(float *param, const float *grad, float *velocity, int64_t count,
;                          float rate, float momentum)
;   rdi  = param     [count]  read and written
;   rsi  = grad      [count]
;   rdx  = velocity  [count]  read and written
;   rcx  = count     >= 0
;   xmm0 = rate      the learning rate
;   xmm1 = momentum
;   clobbers rcx, rdx, rdi, rsi, ymm0-3
%define param       rdi
%define grad        rsi
%define velocity    rdx
%define count       rcx                         ; numbers still to do
%define rate        ymm0                        ; in all lanes
%define momentum    ymm1                        ; in all lanes
%define v           ymm2
%define value       ymm3

sgd_momentum_avx2:
    vbroadcastss rate, xmm0
    vbroadcastss momentum, xmm1
.loop:
    sub     count, 8
    jl      .tail
    vmulps  v, momentum, [velocity]
    vaddps  v, v, [grad]
    vmovups [velocity], v
    vmulps  v, rate, v
    vmovups value, [param]
    vsubps  value, value, v
    vmovups [param], value
    add     param, 8 * F32
    add     grad, 8 * F32
    add     velocity, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    vmulss  xmm2, xmm1, [velocity]
    vaddss  xmm2, xmm2, [grad]
    vmovss  [velocity], xmm2
    vmulss  xmm2, xmm0, xmm2
    vmovss  xmm3, [param]
    vsubss  xmm3, xmm3, xmm2
    vmovss  [param], xmm3
    add     param, F32
    add     grad, F32
    add     velocity, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef param
%undef grad
%undef velocity
%undef count
%undef rate
%undef momentum
%undef v
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
