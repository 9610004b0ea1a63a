; v = momentum * v + grad, then param = param - rate * v, float32, AVX-512.
;
; The velocity remembers earlier gradients, each step less of them: where they agree the
; parameter gathers speed, up to 1 / (1 - momentum) times the plain step, and where they
; alternate it stays. The learning rate is outside of v, as in Sutskever et al., "On the
; importance of initialization and momentum in deep learning", ICML 2013.

%include "network.inc"

    default rel
    section .text

    global  sgd_momentum_avx512:function (sgd_momentum_avx512.end - sgd_momentum_avx512)

;   void sgd_momentum_avx512(float *param, const float *grad, float *velocity, int64_t count,
;                            float rate, float momentum)
;   rdi  = param     [count]  read and written
;   rsi  = grad      [count]
;   rdx  = velocity  [count]  read and written
;   rcx  = count     >= 0
;   xmm0 = rate      the learning rate
;   xmm1 = momentum
;   clobbers rax, rcx, rdx, rdi, rsi, zmm0-3, k1
%define param       rdi
%define grad        rsi
%define velocity    rdx
%define count       rcx                         ; numbers still to do
%define rate        zmm0                        ; in all lanes
%define momentum    zmm1                        ; in all lanes
%define v           zmm2
%define value       zmm3
%define inside      k1                          ; lanes that are numbers

sgd_momentum_avx512:
    vbroadcastss rate, xmm0
    vbroadcastss momentum, xmm1
    mov     eax, -1
    kmovw   inside, eax
.loop:
    cmp     count, 16
    jge     .inside
    test    count, count
    jle     .done
    bzhi    eax, eax, ecx                       ; as many ones as numbers
    kmovw   inside, eax
.inside:
    vmulps  v{inside}{z}, momentum, [velocity]
    vmovups value{inside}{z}, [grad]
    vaddps  v, v, value
    vmovups [velocity]{inside}, v
    vmulps  v, rate, v
    vmovups value{inside}{z}, [param]
    vsubps  value, value, v
    vmovups [param]{inside}, value
    add     param, 16 * F32
    add     grad, 16 * F32
    add     velocity, 16 * F32
    sub     count, 16
    jmp     .loop
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
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
