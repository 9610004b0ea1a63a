; dW = x^T grad: dW[i][o] = sum over the batch of x[n][i] grad[n][o], float32, SSE2.
;
; The same tile as in dense_sse2.asm, 4 inputs by 8 outputs, but here the sum runs down the
; batch, so 4 neighbouring numbers of x are 4 rows of the tile. dW is overwritten, not
; added to: nothing is left over from the batch before.

%include "network.inc"

TILE_INPUTS     equ 4
TILE_OUTPUTS    equ 8

    default rel
    section .text

    global  dense_grad_weight_sse2:function (dense_grad_weight_sse2.end - dense_grad_weight_sse2)

;   void dense_grad_weight_sse2(const float *x, const float *grad, float *dW,
;                               int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = grad     [rows x outputs]    row stride outputs floats
;   rdx = dW       [inputs x outputs]  row stride outputs floats
;   rcx = rows     > 0
;   r8  = inputs   >= 0
;   r9  = outputs  >= 0
;   clobbers rax, rdx, rdi, r8, r10, r11, xmm0-12
%define x           rdi                         ; column of the tile's first input
%define grad        rsi
%define dW          rdx                         ; the tile's first row
%define rows        rcx
%define inputs      r8                          ; inputs still to do
%define outputs     r9
%define x_stride    r10                         ; bytes from sample to sample
%define grad_stride r11                         ; bytes from row to row, of grad and of dW
%define n           rax                         ; samples still to add
%define out         rax                         ; where a tile is stored: n is 0 by then
%define column      rbx
%define x_n         rbp                         ; &x[n][tile's first input]
%define grad_n      r12                         ; &grad[n][column]
%define g_lo        xmm0                        ; grad[n][column .. column+3]
%define g_hi        xmm1                        ; grad[n][column+4 .. column+7]
%define t_lo        xmm2
%define t_hi        xmm3
%define d0_lo       xmm4                        ; the tile: input, half of the outputs
%define d0_hi       xmm5
%define d1_lo       xmm6
%define d1_hi       xmm7
%define d2_lo       xmm8
%define d2_hi       xmm9
%define d3_lo       xmm10
%define d3_hi       xmm11
%define x4          xmm12                       ; x[n][i .. i+3]

; ADD_TERM lane, d_lo, d_hi: adds x[n][i + lane] grad[n][...] to one row of the tile
; .nolist: a debugger then names the line that uses it, and with it the row
%macro ADD_TERM 3.nolist
    pshufd  t_lo, x4, %1 * 0b01010101           ; the lane in all four places
    movaps  t_hi, t_lo
    mulps   t_lo, g_lo
    mulps   t_hi, g_hi
    addps   %2, t_lo
    addps   %3, t_hi
%endmacro

dense_grad_weight_sse2:
    push    rbx
    push    rbp
    push    r12

    lea     x_stride, [inputs * F32]
    lea     grad_stride, [outputs * F32]

.inputs:
    cmp     inputs, TILE_INPUTS
    jl      .input_tail
    xor     column, column

.tile:                                          ; 4 inputs, 8 outputs
    lea     n, [column + TILE_OUTPUTS]
    cmp     n, outputs
    jg      .column_tail
    mov     x_n, x
    lea     grad_n, [grad + column * F32]
    xorps   d0_lo, d0_lo
    xorps   d0_hi, d0_hi
    xorps   d1_lo, d1_lo
    xorps   d1_hi, d1_hi
    xorps   d2_lo, d2_lo
    xorps   d2_hi, d2_hi
    xorps   d3_lo, d3_lo
    xorps   d3_hi, d3_hi
    mov     n, rows
.tile_n:
    movups  x4, [x_n]
    movups  g_lo, [grad_n]
    movups  g_hi, [grad_n + 16]
    ADD_TERM 0, d0_lo, d0_hi
    ADD_TERM 1, d1_lo, d1_hi
    ADD_TERM 2, d2_lo, d2_hi
    ADD_TERM 3, d3_lo, d3_hi
    add     x_n, x_stride
    add     grad_n, grad_stride
    dec     n
    jnz     .tile_n
    lea     out, [dW + column * F32]
    movups  [out], d0_lo
    movups  [out + 16], d0_hi
    movups  [out + grad_stride], d1_lo
    movups  [out + grad_stride + 16], d1_hi
    lea     out, [out + 2 * grad_stride]
    movups  [out], d2_lo
    movups  [out + 16], d2_hi
    movups  [out + grad_stride], d3_lo
    movups  [out + grad_stride + 16], d3_hi
    add     column, TILE_OUTPUTS
    jmp     .tile

.column_tail:                                   ; 4 inputs, 1 output: the lanes are inputs
    cmp     column, outputs
    jge     .next_inputs
    mov     x_n, x
    lea     grad_n, [grad + column * F32]
    xorps   d0_lo, d0_lo
    mov     n, rows
.column_tail_n:
    movups  x4, [x_n]
    movss   g_lo, [grad_n]
    shufps  g_lo, g_lo, 0                       ; g g g g
    mulps   x4, g_lo
    addps   d0_lo, x4
    add     x_n, x_stride
    add     grad_n, grad_stride
    dec     n
    jnz     .column_tail_n
    lea     out, [dW + column * F32]
    pshufd  d1_lo, d0_lo, 1                     ; lane 1 to the front, and so on
    pshufd  d2_lo, d0_lo, 2
    pshufd  d3_lo, d0_lo, 3
    movss   [out], d0_lo
    movss   [out + grad_stride], d1_lo
    lea     out, [out + 2 * grad_stride]
    movss   [out], d2_lo
    movss   [out + grad_stride], d3_lo
    inc     column
    jmp     .column_tail

.next_inputs:
    add     x, TILE_INPUTS * F32
    lea     dW, [dW + TILE_INPUTS * grad_stride]
    sub     inputs, TILE_INPUTS
    jmp     .inputs

.input_tail:
    test    inputs, inputs
    jz      .done
    xor     column, column

.input_tile:                                    ; 1 input, 8 outputs
    lea     n, [column + TILE_OUTPUTS]
    cmp     n, outputs
    jg      .input_column_tail
    mov     x_n, x
    lea     grad_n, [grad + column * F32]
    xorps   d0_lo, d0_lo
    xorps   d0_hi, d0_hi
    mov     n, rows
.input_tile_n:
    movss   x4, [x_n]                           ; only this one: its neighbour may be no memory
    movups  g_lo, [grad_n]
    movups  g_hi, [grad_n + 16]
    ADD_TERM 0, d0_lo, d0_hi
    add     x_n, x_stride
    add     grad_n, grad_stride
    dec     n
    jnz     .input_tile_n
    movups  [dW + column * F32], d0_lo
    movups  [dW + column * F32 + 16], d0_hi
    add     column, TILE_OUTPUTS
    jmp     .input_tile

.input_column_tail:                             ; 1 input, 1 output
    cmp     column, outputs
    jge     .next_input
    mov     x_n, x
    lea     grad_n, [grad + column * F32]
    xorps   d0_lo, d0_lo
    mov     n, rows
.input_column_tail_n:
    movss   x4, [x_n]
    mulss   x4, [grad_n]
    addss   d0_lo, x4
    add     x_n, x_stride
    add     grad_n, grad_stride
    dec     n
    jnz     .input_column_tail_n
    movss   [dW + column * F32], d0_lo
    inc     column
    jmp     .input_column_tail

.next_input:
    add     x, F32
    add     dW, grad_stride
    dec     inputs
    jmp     .input_tail

.done:
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef x
%undef grad
%undef dW
%undef rows
%undef inputs
%undef outputs
%undef x_stride
%undef grad_stride
%undef n
%undef out
%undef column
%undef x_n
%undef grad_n
%undef g_lo
%undef g_hi
%undef t_lo
%undef t_hi
%undef d0_lo
%undef d0_hi
%undef d1_lo
%undef d1_hi
%undef d2_lo
%undef d2_hi
%undef d3_lo
%undef d3_hi
%undef x4

    section .note.GNU-stack noalloc noexec nowrite progbits
