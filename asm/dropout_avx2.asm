; h = h * mask, float32, AVX2: what the mask drops becomes 0, the rest grows.
;
; On the way back a gradient takes the place of h, with the same mask.

%include "network.inc"

    default rel
    section .text

    global  dropout_avx2:function (dropout_avx2.end - dropout_avx2)

;   void dropout_avx2(float *h, const float *mask, int64_t count)
;   rdi = h      [count]  read and written
;   rsi = mask   [count]
;   rdx = count  >= 0
;   clobbers rdx, rdi, rsi, ymm0
%define h           rdi
%define mask        rsi
%define count       rdx                         ; numbers still to do
%define value       ymm0

dropout_avx2:
.loop:
    sub     count, 8
    jl      .tail
    vmovups value, [h]
    vmulps  value, value, [mask]
    vmovups [h], value
    add     h, 8 * F32
    add     mask, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    vmovss  xmm0, [h]
    vmulss  xmm0, xmm0, [mask]
    vmovss  [h], xmm0
    add     h, F32
    add     mask, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef h
%undef mask
%undef count
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
