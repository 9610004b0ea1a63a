; h = h * mask, float32, SSE2: what the mask drops becomes 0, the rest grows.
;
; On the way back a gradient takes the place of h, with the same mask.

%include "network.inc"

    default rel
    section .text

    global  dropout_sse2:function (dropout_sse2.end - dropout_sse2)

;   void dropout_sse2(float *h, const float *mask, int64_t count)
;   rdi = h      [count]  read and written
;   rsi = mask   [count]
;   rdx = count  >= 0
;   clobbers rdx, rdi, rsi, xmm0, xmm1
%define h           rdi
%define mask        rsi
%define count       rdx                         ; numbers still to do
%define value       xmm0
%define factor      xmm1

dropout_sse2:
.loop:
    sub     count, 4
    jl      .tail
    movups  value, [h]
    movups  factor, [mask]
    mulps   value, factor
    movups  [h], value
    add     h, 4 * F32
    add     mask, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movss   value, [h]
    mulss   value, [mask]
    movss   [h], value
    add     h, F32
    add     mask, F32
    dec     count
    jmp     .one

.done:
    ret
.end:

%undef h
%undef mask
%undef count
%undef value
%undef factor

    section .note.GNU-stack noalloc noexec nowrite progbits
