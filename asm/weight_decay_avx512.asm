; grad = grad + decay * param, float32, AVX-512: the gradient of the loss with
; decay / 2 times the square of every weight added, which pulls the weights towards 0.

%include "network.inc"

    default rel
    section .text

    global  weight_decay_avx512:function (weight_decay_avx512.end - weight_decay_avx512)

;   void weight_decay_avx512(float *grad, const float *param, int64_t count, float decay)
;   rdi  = grad   [count]  read and written
;   rsi  = param  [count]
;   rdx  = count  >= 0
;   xmm0 = decay
;   clobbers rax, rdx, rdi, rsi, zmm0-2, k1
%define grad        rdi
%define param       rsi
%define count       rdx                         ; numbers still to do
%define decay       zmm0                        ; in all lanes
%define change      zmm1
%define value       zmm2
%define inside      k1                          ; lanes that are numbers

weight_decay_avx512:
    vbroadcastss decay, xmm0
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
    vmulps  change{inside}{z}, decay, [param]
    vmovups value{inside}{z}, [grad]
    vaddps  value, value, change
    vmovups [grad]{inside}, value
    add     grad, 16 * F32
    add     param, 16 * F32
    sub     count, 16
    jmp     .loop
.done:
    vzeroupper
    ret
.end:

%undef grad
%undef param
%undef count
%undef decay
%undef change
%undef value
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
