; mask = 0 where a draw in 0 <= r < 1 is under the rate, else 1 / (1 - rate), float32, AVX-512.
;
; What stays is enlarged here ("inverted dropout"), so that a number is on average what it
; would be without dropout, and the test needs no factor. Source: Srivastava et al.,
; "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).
;
; The draws are those of random.asm, eight at a time: the generator's state only grows by a
; constant, so the next eight are known without their predecessors.

%include "network.inc"
%include "random.inc"

    default rel
    section .text

    global  dropout_mask_avx512:function (dropout_mask_avx512.end - dropout_mask_avx512)

;   void dropout_mask_avx512(float *mask, uint64_t *state, int64_t count, float rate)
;   rdi  = mask   [count]
;   rsi  = state  [1]  of the random generator, read and written
;   rdx  = count  >= 0
;   xmm0 = rate   0 <= rate < 1
;   clobbers rax, rcx, rdx, rdi, r8, zmm0-8, k1, k2
%define mask        rdi
%define state       rsi
%define count       rdx                         ; numbers still to draw
%define rate        ymm0                        ; in all lanes
%define scale       ymm1                        ; 1 / (1 - rate), in all lanes
%define states      zmm2                        ; of the next eight draws
%define bits        zmm3
%define t           zmm4
%define grow        zmm5                        ; eight times the generator's constant
%define factor1     zmm6
%define factor2     zmm7
%define unit        ymm8                        ; 2^-24
%define inside      k1                          ; lanes that are numbers
%define kept        k2                          ; those of them that are not dropped

dropout_mask_avx512:
    vbroadcastss rate, xmm0
    vbroadcastss scale, [one]
    vsubps  ymm2, scale, rate
    vdivps  scale, scale, ymm2
    vbroadcastss unit, [two_to_minus_24]
    vpbroadcastq factor1, [mix1]
    vpbroadcastq factor2, [mix2]
    vpbroadcastq grow, [eight_golden]
    vpbroadcastq states, [state]
    vpaddq  states, states, [one_to_eight_golden]
    mov     rcx, GOLDEN
    imul    rcx, count
    add     [state], rcx                        ; one step for each draw
    mov     eax, -1
    kmovw   inside, eax
.loop:
    cmp     count, 8
    jge     .inside
    test    count, count
    jle     .done
    bzhi    eax, eax, edx                       ; as many ones as numbers
    kmovw   inside, eax
.inside:
    vpsrlq  bits, states, MIX_SHIFT1
    vpxorq  bits, bits, states
    vpmullq bits, bits, factor1
    vpsrlq  t, bits, MIX_SHIFT2
    vpxorq  bits, bits, t
    vpmullq bits, bits, factor2
    vpsrlq  t, bits, MIX_SHIFT3
    vpxorq  bits, bits, t
    vpsrlq  bits, bits, 40                      ; the upper 24 bits
    vcvtuqq2ps ymm3, bits
    vmulps  ymm3, ymm3, unit
    vcmpgeps kept{inside}, ymm3, rate
    vmovaps ymm3{kept}{z}, scale
    vmovups [mask]{inside}, ymm3
    vpaddq  states, states, grow
    add     mask, 8 * F32
    sub     count, 8
    jmp     .loop
.done:
    vzeroupper
    ret
.end:

%undef mask
%undef state
%undef count
%undef rate
%undef scale
%undef states
%undef bits
%undef t
%undef grow
%undef factor1
%undef factor2
%undef unit
%undef inside
%undef kept

    section .rodata align=64

one_to_eight_golden:
%assign draw 1
%rep 8
                dq draw * GOLDEN
%assign draw draw + 1
%endrep
eight_golden:   dq 8 * GOLDEN
mix1:           dq MIX_FACTOR1
mix2:           dq MIX_FACTOR2
one:            dd 1.0
two_to_minus_24:
                dd 0x1p-24

    section .note.GNU-stack noalloc noexec nowrite progbits
