; dx = grad W^T: dx[n][i] = sum over the outputs of grad[n][o] W[i][o], float32, SSE2.
;
; A row of grad times a row of W: both lie in memory as they are needed, so the lanes run
; along the sum. Four rows of W share one load of grad, and their four sums of four lanes
; are turned by a transposition into four results.

%include "network.inc"

TILE_INPUTS     equ 4

    default rel
    section .text

    global  dense_grad_input_sse2:function (dense_grad_input_sse2.end - dense_grad_input_sse2)

;   void dense_grad_input_sse2(const float *grad, const float *W, float *dx,
;                              int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = grad     [rows x outputs]    row stride outputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats
;   rdx = dx       [rows x inputs]     row stride inputs floats
;   rcx = rows     >= 0
;   r8  = inputs   >= 0
;   r9  = outputs  >= 0
;   clobbers rax, rcx, rdx, rdi, r10, r11, xmm0-7
%define grad        rdi                         ; row n
%define W           rsi
%define dx          rdx                         ; the next result
%define rows        rcx                         ; rows still to do
%define inputs      r8
%define outputs     r9
%define o           rax                         ; outputs still to add
%define stride      r10                         ; bytes from row to row, of grad and of W
%define stride3     r11
%define i           rbx                         ; inputs still to do
%define W_i         rbp                         ; the tile's first row of W
%define W_o         r12                         ; &W[i][o]
%define grad_o      r13                         ; &grad[n][o]
%define s0          xmm0                        ; partial sums of W's row i,
%define s1          xmm1                        ;   of row i+1,
%define s2          xmm2                        ;   i+2,
%define s3          xmm3                        ;   i+3
%define g           xmm4                        ; grad[n][o .. o+3]
%define t           xmm5
%define u           xmm6

; ADD_TERMS W, sum: four products of one row of W
; .nolist: a debugger then names the line that uses it, and with it the row
%macro ADD_TERMS 2.nolist
    movups  t, %1
    mulps   t, g
    addps   %2, t
%endmacro

; ADD_TERM W, sum: one product, in lane 0
%macro ADD_TERM 2.nolist
    movss   t, %1
    mulss   t, g
    addss   %2, t
%endmacro

dense_grad_input_sse2:
    push    rbx
    push    rbp
    push    r12
    push    r13

    lea     stride, [outputs * F32]
    lea     stride3, [stride + 2 * stride]

.row:
    test    rows, rows
    jz      .done
    mov     W_i, W
    mov     i, inputs

.tile:                                          ; 4 inputs
    cmp     i, TILE_INPUTS
    jl      .input_tail
    mov     W_o, W_i
    mov     grad_o, grad
    xorps   s0, s0
    xorps   s1, s1
    xorps   s2, s2
    xorps   s3, s3
    mov     o, outputs
.tile_four:
    sub     o, 4
    jl      .tile_tail
    movups  g, [grad_o]
    ADD_TERMS [W_o],              s0
    ADD_TERMS [W_o + stride],     s1
    ADD_TERMS [W_o + 2 * stride], s2
    ADD_TERMS [W_o + stride3],    s3
    add     W_o, 4 * F32
    add     grad_o, 4 * F32
    jmp     .tile_four
.tile_tail:
    add     o, 4                                ; what the last subtraction took too much
.tile_one:
    jz      .tile_sum
    movss   g, [grad_o]
    ADD_TERM [W_o],              s0
    ADD_TERM [W_o + stride],     s1
    ADD_TERM [W_o + 2 * stride], s2
    ADD_TERM [W_o + stride3],    s3
    add     W_o, F32
    add     grad_o, F32
    dec     o
    jmp     .tile_one
.tile_sum:                                      ; s0 = a0 a1 a2 a3, s1 = b0 b1 b2 b3, ...
    movaps  t, s0
    unpcklps t, s1                              ; a0 b0 a1 b1
    unpckhps s0, s1                             ; a2 b2 a3 b3
    addps   t, s0                               ; a02 b02 a13 b13
    movaps  u, s2
    unpcklps u, s3                              ; c0 d0 c1 d1
    unpckhps s2, s3                             ; c2 d2 c3 d3
    addps   u, s2                               ; c02 d02 c13 d13
    movaps  s0, t
    movlhps s0, u                               ; a02 b02 c02 d02
    movhlps u, t                                ; a13 b13 c13 d13
    addps   s0, u                               ; a b c d
    movups  [dx], s0
    add     dx, TILE_INPUTS * F32
    lea     W_i, [W_i + TILE_INPUTS * stride]
    sub     i, TILE_INPUTS
    jmp     .tile

.input_tail:                                    ; 1 input
    test    i, i
    jz      .next_row
    mov     W_o, W_i
    mov     grad_o, grad
    xorps   s0, s0
    mov     o, outputs
.input_four:
    sub     o, 4
    jl      .input_one_tail
    movups  g, [grad_o]
    ADD_TERMS [W_o], s0
    add     W_o, 4 * F32
    add     grad_o, 4 * F32
    jmp     .input_four
.input_one_tail:
    add     o, 4
.input_one:
    jz      .input_sum
    movss   g, [grad_o]
    ADD_TERM [W_o], s0
    add     W_o, F32
    add     grad_o, F32
    dec     o
    jmp     .input_one
.input_sum:
    movhlps t, s0                               ; a2 a3 . .
    addps   t, s0                               ; a02 a13 . .
    pshufd  u, t, 1                             ; a13 . . .
    addss   t, u
    movss   [dx], t
    add     dx, F32
    add     W_i, stride
    dec     i
    jmp     .input_tail

.next_row:
    add     grad, stride
    dec     rows
    jmp     .row

.done:
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef grad
%undef W
%undef dx
%undef rows
%undef inputs
%undef outputs
%undef o
%undef stride
%undef stride3
%undef i
%undef W_i
%undef W_o
%undef grad_o
%undef s0
%undef s1
%undef s2
%undef s3
%undef g
%undef t
%undef u

    section .note.GNU-stack noalloc noexec nowrite progbits
