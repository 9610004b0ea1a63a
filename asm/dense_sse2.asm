; z = x W + b, float32, SSE2.
;
; A tile of 4 rows and 8 columns of z stays in registers while k runs over the inputs: each
; number of x then serves 8 columns, each number of W 4 rows. What remains on the right goes
; by single columns, what remains at the bottom by single rows.

%include "network.inc"

TILE_ROWS       equ 4
TILE_COLUMNS    equ 8

    default rel
    section .text

    global  dense_sse2:function (dense_sse2.end - dense_sse2)

;   void dense_sse2(const float *x, const float *W, const float *b, float *z,
;                   int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats
;   rdx = b        [outputs]
;   rcx = z        [rows x outputs]    row stride outputs floats
;   r8  = rows     >= 0
;   r9  = inputs   > 0
;   [rsp + 8] = outputs  >= 0
;   clobbers rax, rcx, rdi, r8, r10, r11, xmm0-11
%define x           rdi                         ; the tile's first row
%define W           rsi
%define b           rdx
%define z           rcx                         ; the tile's first row
%define rows        r8                          ; rows still to do
%define inputs      r9
%define outputs     r10
%define x_stride    r11                         ; bytes from row to row
%define k           rax                         ; inputs still to add
%define out         rax                         ; where a tile is stored: k is 0 by then
%define x_stride3   rbx
%define z_stride    rbp                         ; bytes from row to row, of z and of W
%define column      r12
%define x_k         r13                         ; &x[tile's first row][k]
%define W_k         r14                         ; &W[k][column]
%define w_lo        xmm0                        ; W[k][column .. column+3]
%define w_hi        xmm1                        ; W[k][column+4 .. column+7]
%define t_lo        xmm2
%define t_hi        xmm3
%define z0_lo       xmm4                        ; the tile: row, half of the columns
%define z0_hi       xmm5
%define z1_lo       xmm6
%define z1_hi       xmm7
%define z2_lo       xmm8
%define z2_hi       xmm9
%define z3_lo       xmm10
%define z3_hi       xmm11

; ADD_TERM x, z_lo, z_hi: adds x W[k][...] to one row of the tile
; .nolist: a debugger then names the line that uses it, and with it the row
%macro ADD_TERM 3.nolist
    movss   t_lo, %1
    shufps  t_lo, t_lo, 0                       ; x x x x
    movaps  t_hi, t_lo
    mulps   t_lo, w_lo
    mulps   t_hi, w_hi
    addps   %2, t_lo
    addps   %3, t_hi
%endmacro

dense_sse2:
    mov     outputs, [rsp + 8]
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14

    lea     x_stride, [inputs * F32]
    lea     x_stride3, [x_stride + 2 * x_stride]
    lea     z_stride, [outputs * F32]

.rows:
    cmp     rows, TILE_ROWS
    jl      .row_tail
    xor     column, column

.tile:                                          ; 4 rows, 8 columns
    lea     k, [column + TILE_COLUMNS]
    cmp     k, outputs
    jg      .column_tail
    mov     x_k, x
    lea     W_k, [W + column * F32]
    movups  z0_lo, [b + column * F32]           ; every row starts from the bias
    movups  z0_hi, [b + column * F32 + 16]
    movaps  z1_lo, z0_lo
    movaps  z1_hi, z0_hi
    movaps  z2_lo, z0_lo
    movaps  z2_hi, z0_hi
    movaps  z3_lo, z0_lo
    movaps  z3_hi, z0_hi
    mov     k, inputs
.tile_k:
    movups  w_lo, [W_k]
    movups  w_hi, [W_k + 16]
    ADD_TERM [x_k],                z0_lo, z0_hi
    ADD_TERM [x_k + x_stride],     z1_lo, z1_hi
    ADD_TERM [x_k + 2 * x_stride], z2_lo, z2_hi
    ADD_TERM [x_k + x_stride3],    z3_lo, z3_hi
    add     x_k, F32
    add     W_k, z_stride
    dec     k
    jnz     .tile_k
    lea     out, [z + column * F32]
    movups  [out], z0_lo
    movups  [out + 16], z0_hi
    movups  [out + z_stride], z1_lo
    movups  [out + z_stride + 16], z1_hi
    lea     out, [out + 2 * z_stride]
    movups  [out], z2_lo
    movups  [out + 16], z2_hi
    movups  [out + z_stride], z3_lo
    movups  [out + z_stride + 16], z3_hi
    add     column, TILE_COLUMNS
    jmp     .tile

.column_tail:                                   ; 4 rows, 1 column
    cmp     column, outputs
    jge     .next_rows
    mov     x_k, x
    lea     W_k, [W + column * F32]
    movss   z0_lo, [b + column * F32]
    movaps  z1_lo, z0_lo
    movaps  z2_lo, z0_lo
    movaps  z3_lo, z0_lo
    mov     k, inputs
.column_tail_k:
    movss   w_lo, [W_k]
    movss   t_lo, [x_k]
    mulss   t_lo, w_lo
    addss   z0_lo, t_lo
    movss   t_lo, [x_k + x_stride]
    mulss   t_lo, w_lo
    addss   z1_lo, t_lo
    movss   t_lo, [x_k + 2 * x_stride]
    mulss   t_lo, w_lo
    addss   z2_lo, t_lo
    movss   t_lo, [x_k + x_stride3]
    mulss   t_lo, w_lo
    addss   z3_lo, t_lo
    add     x_k, F32
    add     W_k, z_stride
    dec     k
    jnz     .column_tail_k
    lea     out, [z + column * F32]
    movss   [out], z0_lo
    movss   [out + z_stride], z1_lo
    lea     out, [out + 2 * z_stride]
    movss   [out], z2_lo
    movss   [out + z_stride], z3_lo
    inc     column
    jmp     .column_tail

.next_rows:
    lea     x, [x + TILE_ROWS * x_stride]
    lea     z, [z + TILE_ROWS * z_stride]
    sub     rows, TILE_ROWS
    jmp     .rows

.row_tail:
    test    rows, rows
    jz      .done
    xor     column, column

.row_tile:                                      ; 1 row, 8 columns
    lea     k, [column + TILE_COLUMNS]
    cmp     k, outputs
    jg      .row_column_tail
    mov     x_k, x
    lea     W_k, [W + column * F32]
    movups  z0_lo, [b + column * F32]
    movups  z0_hi, [b + column * F32 + 16]
    mov     k, inputs
.row_tile_k:
    movups  w_lo, [W_k]
    movups  w_hi, [W_k + 16]
    ADD_TERM [x_k], z0_lo, z0_hi
    add     x_k, F32
    add     W_k, z_stride
    dec     k
    jnz     .row_tile_k
    movups  [z + column * F32], z0_lo
    movups  [z + column * F32 + 16], z0_hi
    add     column, TILE_COLUMNS
    jmp     .row_tile

.row_column_tail:                               ; 1 row, 1 column
    cmp     column, outputs
    jge     .next_row
    mov     x_k, x
    lea     W_k, [W + column * F32]
    movss   z0_lo, [b + column * F32]
    mov     k, inputs
.row_column_tail_k:
    movss   t_lo, [x_k]
    mulss   t_lo, [W_k]
    addss   z0_lo, t_lo
    add     x_k, F32
    add     W_k, z_stride
    dec     k
    jnz     .row_column_tail_k
    movss   [z + column * F32], z0_lo
    inc     column
    jmp     .row_column_tail

.next_row:
    add     x, x_stride
    add     z, z_stride
    dec     rows
    jmp     .row_tail

.done:
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef x
%undef W
%undef b
%undef z
%undef rows
%undef inputs
%undef outputs
%undef x_stride
%undef k
%undef out
%undef x_stride3
%undef z_stride
%undef column
%undef x_k
%undef W_k
%undef w_lo
%undef w_hi
%undef t_lo
%undef t_hi
%undef z0_lo
%undef z0_hi
%undef z1_lo
%undef z1_hi
%undef z2_lo
%undef z2_hi
%undef z3_lo
%undef z3_hi

    section .note.GNU-stack noalloc noexec nowrite progbits
