; x = pixel / 255, from bytes to float32, AVX-512.
;
; No division: 1/255 is 1/256 and a little more. A pixel times 1/256 is exact, so only the
; little product and the sum are rounded; for each of the 256 pixels that gives the float32
; nearest to pixel / 255, as dividing does.

%include "network.inc"

    default rel
    section .text

    global  scale_pixels_avx512:function (scale_pixels_avx512.end - scale_pixels_avx512)

;   void scale_pixels_avx512(const uint8_t *pixels, float *out, int64_t count)
;   rdi = pixels  [count]
;   rsi = out     [count]  pixels / 255
;   rdx = count   >= 0
;   clobbers rax, rdx, rdi, rsi, zmm0-3, k1
%define pixels      rdi
%define out         rsi
%define count       rdx                         ; pixels still to do
%define value       zmm0
%define rest        zmm1
%define by_256_16   zmm2                        ; 1/256 in 16 lanes
%define more_16     zmm3
%define inside      k1                          ; lanes that are pixels

scale_pixels_avx512:
    vbroadcastss by_256_16, [by_256]
    vbroadcastss more_16, [more]
    mov     eax, -1
    kmovw   inside, eax
.loop:
    cmp     count, 16
    jge     .inside
    test    count, count
    jle     .done
    bzhi    eax, eax, edx                       ; as many ones as pixels
    kmovw   inside, eax
.inside:
    vpmovzxbd value{inside}{z}, [pixels]
    vcvtdq2ps value, value
    vmulps  rest, value, more_16
    vfmadd213ps value, by_256_16, rest
    vmovups [out]{inside}, value
    add     pixels, 16
    add     out, 16 * F32
    sub     count, 16
    jmp     .loop
.done:
    vzeroupper
    ret
.end:

%undef pixels
%undef out
%undef count
%undef value
%undef rest
%undef by_256_16
%undef more_16
%undef inside

    section .rodata align=4

by_256:         dd 0x1p-8
more:           dd 0x1.01010101p-16             ; 1/255 - 1/256

    section .note.GNU-stack noalloc noexec nowrite progbits
