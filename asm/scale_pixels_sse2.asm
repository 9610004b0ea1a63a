; x = pixel / 255, from bytes to float32, SSE2.

%include "network.inc"

    default rel
    section .text

    global  scale_pixels_sse2:function (scale_pixels_sse2.end - scale_pixels_sse2)

;   void scale_pixels_sse2(const uint8_t *pixels, float *out, int64_t count)
;   rdi = pixels  [count]
;   rsi = out     [count]  pixels / 255
;   rdx = count   >= 0
;   clobbers rax, rdx, rdi, rsi, xmm0-2
%define pixels      rdi
%define out         rsi
%define count       rdx                         ; pixels still to do
%define value       xmm0
%define zero        xmm1
%define white       xmm2                        ; 255.0 in all lanes

scale_pixels_sse2:
    xorps   zero, zero
    mov     eax, PIXEL_MAX
    cvtsi2ss white, eax
    shufps  white, white, 0
.loop:
    sub     count, 4
    jl      .tail
    movd    value, [pixels]                     ; 4 bytes
    punpcklbw value, zero                       ; 4 words
    punpcklwd value, zero                       ; 4 double words
    cvtdq2ps value, value
    divps   value, white
    movups  [out], value
    add     pixels, 4
    add     out, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movzx   eax, byte [pixels]
    cvtsi2ss value, eax
    divss   value, white
    movss   [out], value
    inc     pixels
    add     out, F32
    dec     count
    jmp     .one

.done:
    ret
.end:

%undef pixels
%undef out
%undef count
%undef value
%undef zero
%undef white

    section .note.GNU-stack noalloc noexec nowrite progbits
