; out = in^T, float32, AVX2.
;
; Blocks of 8 by 8: eight rows are loaded, and three rounds of shuffles put together what
; belongs together, first pairs of rows, then fours, then the 16-byte halves. What remains
; on the right and at the bottom goes number by number.

%include "network.inc"

BLOCK           equ 8

    default rel
    section .text

    global  transpose_avx2:function (transpose_avx2.end - transpose_avx2)

;   void transpose_avx2(const float *in, float *out, int64_t rows, int64_t columns)
;   rdi = in       [rows x columns]
;   rsi = out      [columns x rows]
;   rdx = rows     >= 0
;   rcx = columns  >= 0
;   clobbers rax, rdi, rsi, rdx, r8, r9, r10, r11, ymm0-15
%define in          rdi                         ; in[the block's first row]
%define out         rsi                         ; out[0][the block's first row]
%define rows        rdx                         ; rows still to do
%define columns     rcx
%define in_stride   r8                          ; bytes from row to row of in
%define out_stride  r9                          ; bytes from row to row of out
%define column      r10
%define from        rax
%define to          r11
%define in_stride3  rbx
%define out_stride3 rbp

transpose_avx2:
    push    rbx
    push    rbp
    lea     in_stride, [columns * F32]
    lea     in_stride3, [in_stride + 2 * in_stride]
    lea     out_stride, [rows * F32]
    lea     out_stride3, [out_stride + 2 * out_stride]

.rows:
    cmp     rows, BLOCK
    jl      .row_tail
    xor     column, column
    mov     to, out
.block:
    lea     from, [column + BLOCK]
    cmp     from, columns
    jg      .column_tail
    lea     from, [in + column * F32]
    vmovups ymm0, [from]                        ; a0 .. a7
    vmovups ymm1, [from + in_stride]            ; b0 .. b7
    vmovups ymm2, [from + 2 * in_stride]
    vmovups ymm3, [from + in_stride3]
    lea     from, [from + 4 * in_stride]
    vmovups ymm4, [from]
    vmovups ymm5, [from + in_stride]
    vmovups ymm6, [from + 2 * in_stride]
    vmovups ymm7, [from + in_stride3]           ; h0 .. h7

    vunpcklps ymm8, ymm0, ymm1                  ; a0 b0 a1 b1 | a4 b4 a5 b5
    vunpckhps ymm9, ymm0, ymm1                  ; a2 b2 a3 b3 | a6 b6 a7 b7
    vunpcklps ymm10, ymm2, ymm3
    vunpckhps ymm11, ymm2, ymm3
    vunpcklps ymm12, ymm4, ymm5
    vunpckhps ymm13, ymm4, ymm5
    vunpcklps ymm14, ymm6, ymm7
    vunpckhps ymm15, ymm6, ymm7

    vunpcklpd ymm0, ymm8, ymm10                 ; a0 b0 c0 d0 | a4 b4 c4 d4
    vunpckhpd ymm1, ymm8, ymm10                 ; a1 b1 c1 d1 | a5 b5 c5 d5
    vunpcklpd ymm2, ymm9, ymm11
    vunpckhpd ymm3, ymm9, ymm11
    vunpcklpd ymm4, ymm12, ymm14                ; e0 f0 g0 h0 | e4 f4 g4 h4
    vunpckhpd ymm5, ymm12, ymm14
    vunpcklpd ymm6, ymm13, ymm15
    vunpckhpd ymm7, ymm13, ymm15

    vinsertf128 ymm8, ymm0, xmm4, 1             ; a0 b0 c0 d0 | e0 f0 g0 h0
    vinsertf128 ymm9, ymm1, xmm5, 1
    vinsertf128 ymm10, ymm2, xmm6, 1
    vinsertf128 ymm11, ymm3, xmm7, 1
    vperm2f128 ymm12, ymm0, ymm4, 0x31          ; a4 b4 c4 d4 | e4 f4 g4 h4
    vperm2f128 ymm13, ymm1, ymm5, 0x31
    vperm2f128 ymm14, ymm2, ymm6, 0x31
    vperm2f128 ymm15, ymm3, ymm7, 0x31

    vmovups [to], ymm8
    vmovups [to + out_stride], ymm9
    vmovups [to + 2 * out_stride], ymm10
    vmovups [to + out_stride3], ymm11
    lea     to, [to + 4 * out_stride]
    vmovups [to], ymm12
    vmovups [to + out_stride], ymm13
    vmovups [to + 2 * out_stride], ymm14
    vmovups [to + out_stride3], ymm15
    lea     to, [to + 4 * out_stride]
    add     column, BLOCK
    jmp     .block

.column_tail:                                   ; 8 rows, 1 column
    cmp     column, columns
    jge     .next_rows
    lea     from, [in + column * F32]
%assign row 0
%rep BLOCK
    vmovss  xmm0, [from]
    vmovss  [to + row * F32], xmm0
    add     from, in_stride
%assign row row + 1
%endrep
    add     to, out_stride
    inc     column
    jmp     .column_tail

.next_rows:
    lea     in, [in + BLOCK * in_stride]
    add     out, BLOCK * F32
    sub     rows, BLOCK
    jmp     .rows

.row_tail:                                      ; 1 row, 1 column
    test    rows, rows
    jz      .done
    xor     column, column
    mov     to, out
.one:
    cmp     column, columns
    jge     .next_row
    vmovss  xmm0, [in + column * F32]
    vmovss  [to], xmm0
    add     to, out_stride
    inc     column
    jmp     .one
.next_row:
    add     in, in_stride
    add     out, F32
    dec     rows
    jmp     .row_tail

.done:
    pop     rbp
    pop     rbx
    vzeroupper
    ret
.end:

%undef in
%undef out
%undef rows
%undef columns
%undef in_stride
%undef out_stride
%undef column
%undef from
%undef to
%undef in_stride3
%undef out_stride3

    section .note.GNU-stack noalloc noexec nowrite progbits
