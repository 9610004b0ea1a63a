; z = x W + b where most of x is zero, float32, SSE2.
;
; A term x[n][k] W[k][...] with x[n][k] = 0 adds nothing, so only the others are visited: of
; 64 inputs of a sample a mask keeps those that are not zero, and its lowest bit names the
; next one. 32 outputs, a quarter of a row of the first layer, are summed in 8 registers
; meanwhile. All samples go through the same 64 rows of W before the next 64 come: those stay
; in the cache. Outputs that do not fill the 8 registers go one by one.
;
; The result is the one of dense_sse2.asm but for infinite or undefined weights, which a
; zero in x leaves alone here.

%include "network.inc"

BLOCK           equ 64                          ; inputs, one bit of a mask each
PANEL           equ 32 * F32                    ; bytes of a row that are summed at a time
VECTOR          equ 16                          ; bytes

    default rel
    section .text

    global  dense_sparse_sse2:function (dense_sparse_sse2.end - dense_sparse_sse2)

;   void dense_sparse_sse2(const float *x, const float *W, const float *b, float *z,
;                          int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats
;   rdx = b        [outputs]
;   rcx = z        [rows x outputs]    row stride outputs floats
;   r8  = rows     >= 0
;   r9  = inputs   > 0
;   [rsp + 8] = outputs  >= 0
;   clobbers rax, rcx, rdx, rdi, rsi, r9, r10, r11, xmm0-10
%define x           rdi                         ; &x[0][block's first input]
%define W           rsi                         ; the block's first row
%define b           rdx
%define column      rdx                         ; bytes; b has been read by then
%define bits        rcx                         ; inputs still to add
%define rows        r8
%define inputs      r9                          ; inputs still to do
%define stride      r10                         ; bytes from row to row, of W and z
%define x_stride    r11                         ; bytes from sample to sample
%define x_n         rbx                         ; &x[n][block's first input]
%define z_n         rbp                         ; &z[n][0]
%define n           r12                         ; samples still to do
%define nonzero     r13                         ; bit k: x[n][block's first input + k] != 0
%define W_k         r14                         ; k, then &W[k][column]
%define k           r14
%define W_column    r15                         ; &W[block's first input][column]
%define first_z     qword [rsp]
%define size        qword [rsp + 8]             ; inputs in this block
%define FRAME       16
%define zero        xmm8
%define x_nk        xmm9                        ; x[n][k] in all lanes
%define t           xmm10

; ADD_TERM W, sum: adds x[n][k] W[k][...] to 4 outputs
; .nolist: a debugger then names the line that uses it
%macro ADD_TERM 2.nolist
    movups  t, %1
    mulps   t, x_nk
    addps   %2, t
%endmacro

dense_sparse_sse2:
    mov     stride, [rsp + 8]
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, FRAME
    mov     first_z, rcx
    shl     stride, 2
    lea     x_stride, [inputs * F32]

    mov     z_n, rcx
    mov     n, rows
.bias_row:                                      ; every row starts from the bias
    dec     n
    js      .biased
    xor     k, k
.bias_vector:
    lea     rax, [k + VECTOR]
    cmp     rax, stride
    jg      .bias_tail
    movups t, [b + k]
    movups [z_n + k], t
    mov     k, rax
    jmp     .bias_vector
.bias_tail:
    cmp     k, stride
    jge     .bias_next
    mov     eax, [b + k]
    mov     [z_n + k], eax
    add     k, F32
    jmp     .bias_tail
.bias_next:
    add     z_n, stride
    jmp     .bias_row
.biased:
    xorps   zero, zero

.block:                                         ; 64 inputs or what is left, all samples
    mov     eax, BLOCK
    cmp     inputs, rax
    cmovl   rax, inputs
    mov     size, rax
    mov     x_n, x
    mov     z_n, first_z
    mov     n, rows
.sample:
    dec     n
    js      .next_block
    xor     nonzero, nonzero
    xor     ecx, ecx                            ; k
.mask:                                          ; 16 inputs
    lea     rax, [rcx + 16]
    cmp     rax, size
    jg      .mask_tail
    movups  xmm0, [x_n + rcx * F32]
    movups  xmm1, [x_n + rcx * F32 + 16]
    movups  xmm2, [x_n + rcx * F32 + 32]
    movups  xmm3, [x_n + rcx * F32 + 48]
    cmpneqps xmm0, zero                         ; also NaN: only zeros may be left out
    cmpneqps xmm1, zero
    cmpneqps xmm2, zero
    cmpneqps xmm3, zero
    packssdw xmm0, xmm1                         ; from 32 bits of ones to 16,
    packssdw xmm2, xmm3
    packsswb xmm0, xmm2                         ;   to 8, to 1
    pmovmskb eax, xmm0
    shl     rax, cl
    or      nonzero, rax
    add     ecx, 16
    jmp     .mask
.mask_tail:                                     ; 1 input
    cmp     rcx, size
    jge     .masked
    mov     eax, [x_n + rcx * F32]
    add     eax, eax                            ; without the sign: -0 is a zero too
    setnz   al
    movzx   eax, al
    shl     rax, cl
    or      nonzero, rax
    inc     ecx
    jmp     .mask_tail
.masked:
    test    nonzero, nonzero
    jz      .next_sample
    xor     column, column

.panel:                                         ; 32 outputs
    lea     rax, [column + PANEL]
    cmp     rax, stride
    jg      .tail
    movups xmm0, [z_n + column]
    movups xmm1, [z_n + column + 16]
    movups xmm2, [z_n + column + 32]
    movups xmm3, [z_n + column + 48]
    movups xmm4, [z_n + column + 64]
    movups xmm5, [z_n + column + 80]
    movups xmm6, [z_n + column + 96]
    movups xmm7, [z_n + column + 112]
    lea     W_column, [W + column]
    mov     bits, nonzero
.panel_k:
    bsf     k, bits
    movss   x_nk, [x_n + k * F32]
    shufps  x_nk, x_nk, 0
    imul    W_k, stride
    add     W_k, W_column
    ADD_TERM [W_k], xmm0
    ADD_TERM [W_k + 16], xmm1
    ADD_TERM [W_k + 32], xmm2
    ADD_TERM [W_k + 48], xmm3
    ADD_TERM [W_k + 64], xmm4
    ADD_TERM [W_k + 80], xmm5
    ADD_TERM [W_k + 96], xmm6
    ADD_TERM [W_k + 112], xmm7
    lea     rax, [bits - 1]
    and     bits, rax                           ; without its lowest one
    jnz     .panel_k
    movups [z_n + column], xmm0
    movups [z_n + column + 16], xmm1
    movups [z_n + column + 32], xmm2
    movups [z_n + column + 48], xmm3
    movups [z_n + column + 64], xmm4
    movups [z_n + column + 80], xmm5
    movups [z_n + column + 96], xmm6
    movups [z_n + column + 112], xmm7
    add     column, PANEL
    jmp     .panel

.tail:                                          ; 1 output
    cmp     column, stride
    jge     .next_sample
    movss  xmm0, [z_n + column]
    lea     W_column, [W + column]
    mov     bits, nonzero
.tail_k:
    bsf     k, bits
    movss   x_nk, [x_n + k * F32]
    imul    W_k, stride
    mulss   x_nk, [W_column + W_k]
    addss   xmm0, x_nk
    lea     rax, [bits - 1]
    and     bits, rax                           ; without its lowest one
    jnz     .tail_k
    movss  [z_n + column], xmm0
    add     column, F32
    jmp     .tail

.next_sample:
    add     x_n, x_stride
    add     z_n, stride
    jmp     .sample

.next_block:
    add     x, BLOCK * F32
    mov     rax, stride
    shl     rax, 6                              ; BLOCK rows
    add     W, rax
    sub     inputs, BLOCK
    jg      .block

    add     rsp, FRAME
    pop     r15
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
%undef column
%undef bits
%undef rows
%undef inputs
%undef stride
%undef x_stride
%undef x_n
%undef z_n
%undef n
%undef nonzero
%undef W_k
%undef k
%undef W_column
%undef first_z
%undef size
%undef FRAME
%undef zero
%undef x_nk
%undef t

    section .note.GNU-stack noalloc noexec nowrite progbits
