; h = h * mask, float32, AVX-512: what the mask drops becomes 0, the rest grows.
;
; On the way back a gradient takes the place of h, with the same mask.

%include "network.inc"

    default rel
    section .text

    global  dropout_avx512:function (dropout_avx512.end - dropout_avx512)

;   void dropout_avx512(float *h, const float *mask, int64_t count)
;   rdi = h      [count]  read and written
;   rsi = mask   [count]
;   rdx = count  >= 0
;   clobbers rax, rdx, rdi, rsi, zmm0, k1
%define h           rdi
%define mask        rsi
%define count       rdx                         ; numbers still to do
%define value       zmm0
%define inside      k1                          ; lanes that are numbers

dropout_avx512:
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
    vmovups value{inside}{z}, [h]
    vmulps  value{inside}{z}, value, [mask]
    vmovups [h]{inside}, value
    add     h, 16 * F32
    add     mask, 16 * F32
    sub     count, 16
    jmp     .loop
.done:
    vzeroupper
    ret
.end:

%undef h
%undef mask
%undef count
%undef value
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
