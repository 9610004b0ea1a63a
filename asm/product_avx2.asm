; c = a b + bias, float32, AVX2 and FMA: what the dense layers spend their time in.
;
; A tile of 4 rows and 16 columns of c stays in 8 registers while k runs over the terms: a
; row of b, two loads, then serves four rows of c, and eight sums are as many as two FMA
; units with a latency of four cycles can keep busy. What remains on the right goes through
; the same tile under a mask. Numbers of a are read one by one at any two strides, so a may
; be a transposed matrix; b is read along its rows.

%include "network.inc"

TILE_ROWS       equ 4
TILE_COLUMNS    equ 16

    default rel
    section .text

    global  product_avx2:function (product_avx2.end - product_avx2)

;   void product_avx2(const float *a, const float *b, const float *bias, float *c,
;                     int64_t rows, int64_t terms, int64_t columns,
;                     int64_t a_row, int64_t a_term)
;   rdi = a        [rows x terms]     number (r, k) lies at a + r a_row + k a_term
;   rsi = b        [terms x columns]  row stride columns floats
;   rdx = bias     [columns]          or 0: none
;   rcx = c        [rows x columns]   row stride columns floats
;   r8  = rows     >= 0
;   r9  = terms    > 0
;   [rsp + 8]  = columns  >= 0
;   [rsp + 16] = a_row    bytes
;   [rsp + 24] = a_term   bytes
;   clobbers rax, rcx, rdx, rdi, rsi, r8, r10, r11, ymm0-12
%define a           rdi                         ; the tile's first row
%define b           rsi                         ; the tile's first column
%define bias        rdx                         ; the tile's first column, or 0
%define c           rcx                         ; where the tile is stored, row by row
%define columns     r8                          ; columns still to do
%define terms       r9
%define stride      r10                         ; bytes from row to row, of b and of c
%define a_term      r11
%define k           rax                         ; terms still to add
%define a1          rbx                         ; bytes from the tile's first row of a to its
%define a2          rbp                         ;   second, third and fourth; rows past the
%define a3          r12                         ;   last one repeat it, and are not stored
%define rows        r13                         ; rows still to do
%define a_k         r14                         ; &a[tile's first row][k]
%define b_k         r15                         ; &b[k][tile's first column]
%define all_rows    qword [rsp]
%define all_a       qword [rsp + 8]
%define column_c    qword [rsp + 16]            ; row 0 of this column
%define FRAME       24
%define SAVED       FRAME + 6 * 8               ; from rsp to the return address
%define a_row       qword [rsp + SAVED + 16]
%define b_lo        ymm8                        ; b[k][column .. column+7]
%define b_hi        ymm9                        ; b[k][column+8 .. column+15]
%define a_rk        ymm10                       ; a[row][k] in all lanes
%define in_lo       ymm11                       ; all ones in lanes that are columns of c
%define in_hi       ymm12

; FIND_ROWS: a1, a2, a3 for the rows that are left
%macro FIND_ROWS 0.nolist
    mov     rax, a_row
    xor     a1, a1
    cmp     rows, 2
    cmovge  a1, rax
    lea     a2, [a1 + rax]
    cmp     rows, 3
    cmovl   a2, a1
    lea     a3, [a2 + rax]
    cmp     rows, 4
    cmovl   a3, a2
%endmacro

; ADD_ROW a, c_lo, c_hi: adds a[row][k] b[k][...] to a row of the tile
; .nolist: a debugger then names the line that uses it, and with it the row
%macro ADD_ROW 3.nolist
    vbroadcastss a_rk, %1
    vfmadd231ps %2, b_lo, a_rk
    vfmadd231ps %3, b_hi, a_rk
%endmacro

; STORE_ROW c_lo, c_hi: a row of the tile, and on to the next
%macro STORE_ROW 2.nolist
    vmovups [c], %1
    vmovups [c + 32], %2
    add     c, stride
%endmacro

; STORE_INSIDE c_lo, c_hi: the same for the last columns
%macro STORE_INSIDE 2.nolist
    vmaskmovps [c], in_lo, %1
    vmaskmovps [c + 32], in_hi, %2
    add     c, stride
%endmacro

product_avx2:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, FRAME
    mov     all_rows, r8
    mov     all_a, a
    mov     columns, [rsp + SAVED + 8]
    mov     a_term, [rsp + SAVED + 24]
    lea     stride, [columns * F32]

.tile:                                          ; 16 columns, all rows
    cmp     columns, TILE_COLUMNS
    jl      .tail
    mov     column_c, c
    mov     a, all_a
    mov     rows, all_rows
.tile_rows:
    test    rows, rows
    jle     .tile_done
    FIND_ROWS
    mov     a_k, a
    mov     b_k, b
    vxorps  ymm0, ymm0, ymm0
    vxorps  ymm1, ymm1, ymm1
    test    bias, bias
    jz      .tile_biased
    vmovups ymm0, [bias]                        ; every row starts from the bias
    vmovups ymm1, [bias + 32]
.tile_biased:
    vmovaps ymm2, ymm0
    vmovaps ymm3, ymm1
    vmovaps ymm4, ymm0
    vmovaps ymm5, ymm1
    vmovaps ymm6, ymm0
    vmovaps ymm7, ymm1
    mov     k, terms
.tile_k:
    vmovups b_lo, [b_k]
    vmovups b_hi, [b_k + 32]
    ADD_ROW [a_k],      ymm0, ymm1
    ADD_ROW [a_k + a1], ymm2, ymm3
    ADD_ROW [a_k + a2], ymm4, ymm5
    ADD_ROW [a_k + a3], ymm6, ymm7
    add     a_k, a_term
    add     b_k, stride
    dec     k
    jnz     .tile_k
    STORE_ROW ymm0, ymm1
    cmp     rows, 2
    jl      .tile_done
    STORE_ROW ymm2, ymm3
    cmp     rows, 3
    jl      .tile_done
    STORE_ROW ymm4, ymm5
    cmp     rows, 4
    jl      .tile_done
    STORE_ROW ymm6, ymm7
    mov     rax, a_row
    lea     a, [a + TILE_ROWS * rax]
    sub     rows, TILE_ROWS
    jmp     .tile_rows
.tile_done:
    mov     c, column_c
    add     c, TILE_COLUMNS * F32
    add     b, TILE_COLUMNS * F32
    lea     rax, [bias + TILE_COLUMNS * F32]
    test    bias, bias
    cmovnz  bias, rax                           ; none stays none
    sub     columns, TILE_COLUMNS
    jmp     .tile

.tail:                                          ; 1 to 15 columns, all rows
    test    columns, columns
    jz      .done
    lea     rax, [inside_then_outside + TILE_COLUMNS * F32]
    shl     columns, 2
    sub     rax, columns
    vmovups in_lo, [rax]                        ; as many ones as columns, then zeros
    vmovups in_hi, [rax + 32]
    mov     a, all_a
    mov     rows, all_rows
.tail_rows:
    test    rows, rows
    jle     .done
    FIND_ROWS
    mov     a_k, a
    mov     b_k, b
    vxorps  ymm0, ymm0, ymm0
    vxorps  ymm1, ymm1, ymm1
    test    bias, bias
    jz      .tail_biased
    vmaskmovps ymm0, in_lo, [bias]
    vmaskmovps ymm1, in_hi, [bias + 32]
.tail_biased:
    vmovaps ymm2, ymm0
    vmovaps ymm3, ymm1
    vmovaps ymm4, ymm0
    vmovaps ymm5, ymm1
    vmovaps ymm6, ymm0
    vmovaps ymm7, ymm1
    mov     k, terms
.tail_k:
    vmaskmovps b_lo, in_lo, [b_k]               ; lanes outside are 0 and touch no memory
    vmaskmovps b_hi, in_hi, [b_k + 32]
    ADD_ROW [a_k],      ymm0, ymm1
    ADD_ROW [a_k + a1], ymm2, ymm3
    ADD_ROW [a_k + a2], ymm4, ymm5
    ADD_ROW [a_k + a3], ymm6, ymm7
    add     a_k, a_term
    add     b_k, stride
    dec     k
    jnz     .tail_k
    STORE_INSIDE ymm0, ymm1
    cmp     rows, 2
    jl      .done
    STORE_INSIDE ymm2, ymm3
    cmp     rows, 3
    jl      .done
    STORE_INSIDE ymm4, ymm5
    cmp     rows, 4
    jl      .done
    STORE_INSIDE ymm6, ymm7
    mov     rax, a_row
    lea     a, [a + TILE_ROWS * rax]
    sub     rows, TILE_ROWS
    jmp     .tail_rows

.done:
    add     rsp, FRAME
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    vzeroupper
    ret
.end:

%undef a
%undef b
%undef bias
%undef c
%undef columns
%undef terms
%undef stride
%undef a_term
%undef k
%undef a1
%undef a2
%undef a3
%undef rows
%undef a_k
%undef b_k
%undef all_rows
%undef all_a
%undef column_c
%undef FRAME
%undef SAVED
%undef a_row
%undef b_lo
%undef b_hi
%undef a_rk
%undef in_lo
%undef in_hi

    section .rodata align=32

inside_then_outside:
                times TILE_COLUMNS dd -1
                times TILE_COLUMNS dd 0

    section .note.GNU-stack noalloc noexec nowrite progbits
