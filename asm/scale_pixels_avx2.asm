; x = pixel / 255, from bytes to float32, AVX2 and FMA.
;
; No division: 1/255 is 1/256 and a little more. A pixel times 1/256 is exact, so only the
; little product and the sum are rounded; for each of the 256 pixels that gives the float32
; nearest to pixel / 255, as dividing does.

%include "network.inc"

    default rel
    section .text

    global  scale_pixels_avx2:function (scale_pixels_avx2.end - scale_pixels_avx2)

;   void scale_pixels_avx2(const uint8_t *pixels, float *out, int64_t count)
;   rdi = pixels  [count]
;   rsi = out     [count]  pixels / 255
;   rdx = count   >= 0
;   clobbers rax, rdx, rdi, rsi, ymm0-3
%define pixels      rdi
%define out         rsi
%define count       rdx                         ; pixels still to do
%define value       ymm0
%define rest        ymm1
%define by_256_8    ymm2                        ; 1/256 in 8 lanes
%define more_8      ymm3

scale_pixels_avx2:
    vbroadcastss by_256_8, [by_256]
    vbroadcastss more_8, [more]
.loop:
    sub     count, 8
    jl      .tail
    vpmovzxbd value, [pixels]
    vcvtdq2ps value, value
    vmulps  rest, value, more_8
    vfmadd213ps value, by_256_8, rest
    vmovups [out], value
    add     pixels, 8
    add     out, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    movzx   eax, byte [pixels]
    vcvtsi2ss xmm0, xmm2, eax                   ; lane 0; the others are of no interest
    vmulss  xmm1, xmm0, xmm3
    vfmadd213ss xmm0, xmm2, xmm1
    vmovss  [out], xmm0
    inc     pixels
    add     out, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef pixels
%undef out
%undef count
%undef value
%undef rest
%undef by_256_8
%undef more_8

    section .rodata align=4

by_256:         dd 0x1p-8
more:           dd 0x1.01010101p-16             ; 1/255 - 1/256

    section .note.GNU-stack noalloc noexec nowrite progbits
