; v = momentum * v + grad, then param = param - rate * v, float32, SSE2.
;
; The velocity remembers earlier gradients, each step less of them: where they agree the
; parameter gathers speed, up to 1 / (1 - momentum) times the plain step, and where they
; alternate it stays. The learning rate is outside of v, as in Sutskever et al., "On the
; importance of initialization and momentum in deep learning", ICML 2013.

%include "network.inc"

    default rel
    section .text

    global  sgd_momentum_sse2:function (sgd_momentum_sse2.end - sgd_momentum_sse2)

;   void sgd_momentum_sse2(float *param, const float *grad, float *velocity, int64_t count,
;                          float rate, float momentum)
;   rdi  = param     [count]  read and written
;   rsi  = grad      [count]
;   rdx  = velocity  [count]  read and written
;   rcx  = count     >= 0
;   xmm0 = rate      the learning rate
;   xmm1 = momentum
;   clobbers rcx, rdx, rdi, rsi, xmm0-3
%define param       rdi
%define grad        rsi
%define velocity    rdx
%define count       rcx                         ; numbers still to do
%define rate        xmm0                        ; in all four lanes
%define momentum    xmm1                        ; in all four lanes
%define v           xmm2
%define value       xmm3

sgd_momentum_sse2:
    shufps  rate, rate, 0
    shufps  momentum, momentum, 0
.loop:
    sub     count, 4
    jl      .tail
    movups  v, [velocity]
    mulps   v, momentum
    movups  value, [grad]
    addps   v, value
    movups  [velocity], v
    mulps   v, rate
    movups  value, [param]
    subps   value, v
    movups  [param], value
    add     param, 4 * F32
    add     grad, 4 * F32
    add     velocity, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movss   v, [velocity]
    mulss   v, momentum
    addss   v, [grad]
    movss   [velocity], v
    mulss   v, rate
    movss   value, [param]
    subss   value, v
    movss   [param], value
    add     param, F32
    add     grad, F32
    add     velocity, F32
    dec     count
    jmp     .one

.done:
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
