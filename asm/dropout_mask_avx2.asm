; mask = 0 where a draw in 0 <= r < 1 is under the rate, else 1 / (1 - rate), float32, AVX2.
;
; What stays is enlarged here ("inverted dropout"), so that a number is on average what it
; would be without dropout, and the test needs no factor. Source: Srivastava et al.,
; "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).
;
; The draws are those of random.asm, four at a time: the generator's state only grows by a
; constant, so the next four are known without their predecessors.

%include "network.inc"
%include "random.inc"

    default rel
    section .text

    extern  dropout_mask_sse2                   ; dropout_mask_sse2.asm

    global  dropout_mask_avx2:function (dropout_mask_avx2.end - dropout_mask_avx2)

;   void dropout_mask_avx2(float *mask, uint64_t *state, int64_t count, float rate)
;   rdi  = mask   [count]
;   rsi  = state  [1]  of the random generator, read and written
;   rdx  = count  >= 0
;   xmm0 = rate   0 <= rate < 1
;   clobbers what a call may
%define mask        rdi
%define state       rsi
%define count       rdx                         ; numbers still to draw
%define rate        xmm0                        ; in all lanes
%define scale       xmm1                        ; 1 / (1 - rate), in all lanes
%define states      ymm2                        ; of the next four draws
%define bits        ymm3
%define t           ymm4
%define u           ymm5
%define grow        ymm6                        ; four times the generator's constant
%define factor1     ymm7
%define factor2     ymm8
%define upper1      ymm9                        ; their upper halves
%define upper2      ymm10
%define unit        xmm11                       ; 2^-24
%define even        ymm12                       ; where the lower halves of quadwords are

; MULTIPLY factor, upper: bits = bits * factor, of which AVX2 only has 32-bit pieces:
; low low + 2^32 (low high + high low), the rest is past the 64th bit
%macro MULTIPLY 2.nolist
    vpsrlq  t, bits, 32
    vpmuludq t, t, %1
    vpmuludq u, bits, %2
    vpaddq  t, t, u
    vpsllq  t, t, 32
    vpmuludq bits, bits, %1
    vpaddq  bits, bits, t
%endmacro

dropout_mask_avx2:
    vbroadcastss rate, rate
    vbroadcastss scale, [one]
    vsubps  xmm2, scale, rate
    vdivps  scale, scale, xmm2
    vbroadcastss unit, [two_to_minus_24]
    vpbroadcastq factor1, [mix1]
    vpbroadcastq factor2, [mix2]
    vpsrlq  upper1, factor1, 32
    vpsrlq  upper2, factor2, 32
    vpbroadcastq grow, [four_golden]
    vpbroadcastq states, [state]
    vpaddq  states, states, [one_to_four_golden]
    vmovdqa even, [even_places]
    mov     r8, 4 * GOLDEN
.loop:
    sub     count, 4
    jl      .tail
    vpsrlq  bits, states, MIX_SHIFT1
    vpxor   bits, bits, states
    MULTIPLY factor1, upper1
    vpsrlq  t, bits, MIX_SHIFT2
    vpxor   bits, bits, t
    MULTIPLY factor2, upper2
    vpsrlq  t, bits, MIX_SHIFT3
    vpxor   bits, bits, t
    vpsrlq  bits, bits, 40                      ; the upper 24 bits
    vpermd  bits, even, bits                    ; to the four lower lanes
    vcvtdq2ps xmm3, xmm3
    vmulps  xmm3, xmm3, unit
    vcmpltps xmm3, xmm3, rate                   ; all bits where it is dropped
    vandnps xmm3, xmm3, scale
    vmovups [mask], xmm3
    vpaddq  states, states, grow
    add     [state], r8
    add     mask, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
    vzeroupper
    jmp     dropout_mask_sse2                   ; the last 0 to 3; its ret is ours
.end:

%undef mask
%undef state
%undef count
%undef rate
%undef scale
%undef states
%undef bits
%undef t
%undef u
%undef grow
%undef factor1
%undef factor2
%undef upper1
%undef upper2
%undef unit
%undef even

    section .rodata align=32

one_to_four_golden:
                dq GOLDEN
                dq 2 * GOLDEN
                dq 3 * GOLDEN
                dq 4 * GOLDEN
even_places:    dd 0, 2, 4, 6, 0, 2, 4, 6
four_golden:    dq 4 * GOLDEN
mix1:           dq MIX_FACTOR1
mix2:           dq MIX_FACTOR2
one:            dd 1.0
two_to_minus_24:
                dd 0x1p-24

    section .note.GNU-stack noalloc noexec nowrite progbits
