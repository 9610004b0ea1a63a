; param = param - rate * grad, float32, AVX-512: one step of stochastic gradient descent.

%include "network.inc"

    default rel
    section .text

    global  sgd_avx512:function (sgd_avx512.end - sgd_avx512)

;   void sgd_avx512(float *param, const float *grad, int64_t count, float rate)
;   rdi  = param  [count]  read and written
;   rsi  = grad   [count]
;   rdx  = count  >= 0
;   xmm0 = rate   the learning rate
;   clobbers rax, rdx, rdi, rsi, zmm0-2, k1
%define param       rdi
%define grad        rsi
%define count       rdx                         ; numbers still to do
%define rate        zmm0                        ; in all lanes
%define change      zmm1
%define value       zmm2
%define inside      k1                          ; lanes that are numbers

sgd_avx512:
    vbroadcastss rate, xmm0
    mov     eax, -1
    kmovw   inside, eax
.loop:
    cmp     count, 16
    jge     .inside
    test    count, count
    jle     .done
    bzhi    eax, eax, edx                       ; as many ones as numbers
    kmovw   inside, eax
.inside:
    vmulps  change{inside}{z}, rate, [grad]
    vmovups value{inside}{z}, [param]
    vsubps  value, value, change
    vmovups [param]{inside}, value
    add     param, 16 * F32
    add     grad, 16 * F32
    sub     count, 16
    jmp     .loop
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
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
