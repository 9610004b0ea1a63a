; c = a b + bias, float32, AVX-512: what the dense layers spend their time in.
;
; A tile of 4 rows and 64 columns of c stays in 16 registers while k runs over the terms: a
; row of b, four loads, then serves four rows of c. What remains on the right goes by 16
; columns under a mask. Numbers of a are read one by one at any two strides, so a may be a
; transposed matrix; b is read along its rows.

%include "network.inc"

TILE_ROWS       equ 4
TILE_COLUMNS    equ 64
LANES           equ 16

    default rel
    section .text

    global  product_avx512:function (product_avx512.end - product_avx512)

;   void product_avx512(const float *a, const float *b, const float *bias, float *c,
;                       int64_t rows, int64_t terms, int64_t columns,
;                       int64_t a_row, int64_t a_term)
;   rdi = a        [rows x terms]     number (r, k) lies at a + r a_row + k a_term
;   rsi = b        [terms x columns]  row stride columns floats
;   rdx = bias     [columns]          or 0: none
;   rcx = c        [rows x columns]   row stride columns floats
;   r8  = rows     >= 0
;   r9  = terms    > 0
;   [rsp + 8]  = columns  >= 0
;   [rsp + 16] = a_row    bytes
;   [rsp + 24] = a_term   bytes
;   clobbers rax, rcx, rdx, rdi, rsi, r8, r10, r11, zmm0-20, k1
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
%define inside      k1                          ; lanes that are columns of c
%define b0          zmm16                       ; b[k][column ..], 16 lanes each
%define b1          zmm17
%define b2          zmm18
%define b3          zmm19
%define a_rk        zmm20                       ; a[row][k] in all lanes

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

; ADD_ROW a, c0, c1, c2, c3: adds a[row][k] b[k][...] to a row of the tile
; .nolist: a debugger then names the line that uses it, and with it the row
%macro ADD_ROW 5.nolist
    vbroadcastss a_rk, %1
    vfmadd231ps %2, b0, a_rk
    vfmadd231ps %3, b1, a_rk
    vfmadd231ps %4, b2, a_rk
    vfmadd231ps %5, b3, a_rk
%endmacro

; STORE_ROW c0, c1, c2, c3: a row of the tile, and on to the next
%macro STORE_ROW 4.nolist
    vmovups [c], %1
    vmovups [c + 64], %2
    vmovups [c + 128], %3
    vmovups [c + 192], %4
    add     c, stride
%endmacro

product_avx512:
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

.wide:                                          ; 64 columns, all rows
    cmp     columns, TILE_COLUMNS
    jl      .narrow
    mov     column_c, c
    mov     a, all_a
    mov     rows, all_rows
.wide_rows:
    test    rows, rows
    jle     .wide_done
    FIND_ROWS
    mov     a_k, a
    mov     b_k, b
    vpxord  zmm0, zmm0, zmm0
    vpxord  zmm1, zmm1, zmm1
    vpxord  zmm2, zmm2, zmm2
    vpxord  zmm3, zmm3, zmm3
    test    bias, bias
    jz      .wide_biased
    vmovups zmm0, [bias]                        ; every row starts from the bias
    vmovups zmm1, [bias + 64]
    vmovups zmm2, [bias + 128]
    vmovups zmm3, [bias + 192]
.wide_biased:
    vmovaps zmm4, zmm0
    vmovaps zmm5, zmm1
    vmovaps zmm6, zmm2
    vmovaps zmm7, zmm3
    vmovaps zmm8, zmm0
    vmovaps zmm9, zmm1
    vmovaps zmm10, zmm2
    vmovaps zmm11, zmm3
    vmovaps zmm12, zmm0
    vmovaps zmm13, zmm1
    vmovaps zmm14, zmm2
    vmovaps zmm15, zmm3
    mov     k, terms
.wide_k:
    vmovups b0, [b_k]
    vmovups b1, [b_k + 64]
    vmovups b2, [b_k + 128]
    vmovups b3, [b_k + 192]
    ADD_ROW [a_k],      zmm0,  zmm1,  zmm2,  zmm3
    ADD_ROW [a_k + a1], zmm4,  zmm5,  zmm6,  zmm7
    ADD_ROW [a_k + a2], zmm8,  zmm9,  zmm10, zmm11
    ADD_ROW [a_k + a3], zmm12, zmm13, zmm14, zmm15
    add     a_k, a_term
    add     b_k, stride
    dec     k
    jnz     .wide_k
    STORE_ROW zmm0, zmm1, zmm2, zmm3
    cmp     rows, 2
    jl      .wide_done
    STORE_ROW zmm4, zmm5, zmm6, zmm7
    cmp     rows, 3
    jl      .wide_done
    STORE_ROW zmm8, zmm9, zmm10, zmm11
    cmp     rows, 4
    jl      .wide_done
    STORE_ROW zmm12, zmm13, zmm14, zmm15
    mov     rax, a_row
    lea     a, [a + TILE_ROWS * rax]
    sub     rows, TILE_ROWS
    jmp     .wide_rows
.wide_done:
    mov     c, column_c
    add     c, TILE_COLUMNS * F32
    add     b, TILE_COLUMNS * F32
    lea     rax, [bias + TILE_COLUMNS * F32]
    test    bias, bias
    cmovnz  bias, rax                           ; none stays none
    sub     columns, TILE_COLUMNS
    jmp     .wide

.narrow:                                        ; 16 columns or what is left, all rows
    test    columns, columns
    jle     .done
    mov     eax, -1
    cmp     columns, LANES
    jge     .all_inside
    bzhi    eax, eax, r8d                       ; as many ones as columns
.all_inside:
    kmovw   inside, eax
    mov     column_c, c
    mov     a, all_a
    mov     rows, all_rows
.narrow_rows:
    test    rows, rows
    jle     .narrow_done
    FIND_ROWS
    mov     a_k, a
    mov     b_k, b
    vpxord  zmm0, zmm0, zmm0
    test    bias, bias
    jz      .narrow_biased
    vmovups zmm0{inside}{z}, [bias]
.narrow_biased:
    vmovaps zmm1, zmm0
    vmovaps zmm2, zmm0
    vmovaps zmm3, zmm0
    mov     k, terms
.narrow_k:
    vmovups b0{inside}{z}, [b_k]
    vfmadd231ps zmm0, b0, [a_k]{1to16}
    vfmadd231ps zmm1, b0, [a_k + a1]{1to16}
    vfmadd231ps zmm2, b0, [a_k + a2]{1to16}
    vfmadd231ps zmm3, b0, [a_k + a3]{1to16}
    add     a_k, a_term
    add     b_k, stride
    dec     k
    jnz     .narrow_k
    vmovups [c]{inside}, zmm0
    cmp     rows, 2
    jl      .narrow_done
    vmovups [c + stride]{inside}, zmm1
    cmp     rows, 3
    jl      .narrow_done
    lea     c, [c + 2 * stride]
    vmovups [c]{inside}, zmm2
    cmp     rows, 4
    jl      .narrow_done
    vmovups [c + stride]{inside}, zmm3
    lea     c, [c + 2 * stride]
    mov     rax, a_row
    lea     a, [a + TILE_ROWS * rax]
    sub     rows, TILE_ROWS
    jmp     .narrow_rows
.narrow_done:
    mov     c, column_c
    add     c, LANES * F32
    add     b, LANES * F32
    lea     rax, [bias + LANES * F32]
    test    bias, bias
    cmovnz  bias, rax                           ; none stays none
    sub     columns, LANES
    jmp     .narrow

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
%undef inside
%undef b0
%undef b1
%undef b2
%undef b3
%undef a_rk

    section .note.GNU-stack noalloc noexec nowrite progbits
