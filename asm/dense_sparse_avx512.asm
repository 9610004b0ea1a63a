; z = x W + b where most of x is zero, float32, AVX-512.
;
; A term x[n][k] W[k][...] with x[n][k] = 0 adds nothing, so only the others are visited: of
; 64 inputs of a sample a mask keeps those that are not zero, and its lowest bit names the
; next one. 128 outputs, a row of the first layer, are summed in 8 registers meanwhile. All
; samples go through the same 64 rows of W before the next 64 come: those stay in the cache.
;
; The result is the one of dense_avx512.asm but for infinite or undefined weights, which a
; zero in x leaves alone here.

%include "network.inc"

BLOCK           equ 64                          ; inputs, one bit of a mask each
PANEL           equ 128 * F32                   ; bytes of a row that are summed at a time
LANES           equ 16

    default rel
    section .text

    global  dense_sparse_avx512:function (dense_sparse_avx512.end - dense_sparse_avx512)

;   void dense_sparse_avx512(const float *x, const float *W, const float *b, float *z,
;                            int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats
;   rdx = b        [outputs]
;   rcx = z        [rows x outputs]    row stride outputs floats
;   r8  = rows     >= 0
;   r9  = inputs   > 0
;   [rsp + 8] = outputs  >= 0
;   clobbers rax, rdx, rdi, rsi, r9, r10, r11, zmm0-10, k0-7
%define x           rdi                         ; &x[0][block's first input]
%define W           rsi                         ; the block's first row
%define b           rdx
%define column      rdx                         ; bytes; b has been read by then
%define z_0         rcx                         ; &z[0][0]; not z, which is a decorator
%define rows        r8
%define inputs      r9                          ; inputs still to do
%define stride      r10                         ; bytes from row to row, of W and z
%define x_stride    r11                         ; bytes from sample to sample
%define bits        rax                         ; inputs still to add
%define x_n         rbx                         ; &x[n][block's first input]
%define z_n         rbp                         ; &z[n][0]
%define n           r12                         ; samples still to do
%define nonzero     r13                         ; bit k: x[n][block's first input + k] != 0
%define W_k         r14                         ; k, then &W[k][column]
%define W_column    r15                         ; &W[block's first input][column]
%define zero        zmm8
%define x_nk        zmm9                        ; x[n][k] in all lanes
%define w           zmm10
%define block0      k1                          ; which of 16 inputs each are inside of x
%define block1      k2
%define block2      k3
%define block3      k4
%define inside      k6                          ; lanes that are columns of z

dense_sparse_avx512:
    mov     stride, [rsp + 8]
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    shl     stride, 2
    lea     x_stride, [inputs * F32]
    vpxord  zero, zero, zero

    xor     W_k, W_k                            ; every row starts from the bias
.bias:
    mov     rax, stride
    sub     rax, W_k
    jle     .block
    shr     rax, 2
    mov     n, -1
    cmp     rax, LANES
    jge     .bias_inside
    bzhi    n, n, rax                           ; as many ones as columns
.bias_inside:
    kmovw   inside, r12d
    vmovups w{inside}{z}, [b + W_k]
    lea     z_n, [z_0 + W_k]
    mov     n, rows
.bias_row:
    dec     n
    js      .bias_next
    vmovups [z_n]{inside}, w
    add     z_n, stride
    jmp     .bias_row
.bias_next:
    add     W_k, LANES * F32
    jmp     .bias

.block:                                         ; 64 inputs or what is left, all samples
    mov     rax, -1
    cmp     inputs, BLOCK
    jge     .block_inside
    bzhi    rax, rax, inputs                    ; as many ones as inputs
.block_inside:
    kmovq   block0, rax
    kshiftrq block1, block0, 16
    kshiftrq block2, block0, 32
    kshiftrq block3, block0, 48
    mov     x_n, x
    mov     z_n, z_0
    mov     n, rows
.sample:
    dec     n
    js      .next_block
    vcmpneqps k0{block0}, zero, [x_n]           ; also NaN: only zeros may be left out
    vcmpneqps k5{block1}, zero, [x_n + 64]
    vcmpneqps k6{block2}, zero, [x_n + 128]
    vcmpneqps k7{block3}, zero, [x_n + 192]
    kunpckwd k0, k5, k0
    kunpckwd k6, k7, k6
    kunpckdq k0, k6, k0
    kmovq   nonzero, k0
    test    nonzero, nonzero
    jz      .next_sample
    xor     column, column

.panel:                                         ; 128 outputs
    lea     rax, [column + PANEL]
    cmp     rax, stride
    jg      .tail
    vmovups zmm0, [z_n + column]
    vmovups zmm1, [z_n + column + 64]
    vmovups zmm2, [z_n + column + 128]
    vmovups zmm3, [z_n + column + 192]
    vmovups zmm4, [z_n + column + 256]
    vmovups zmm5, [z_n + column + 320]
    vmovups zmm6, [z_n + column + 384]
    vmovups zmm7, [z_n + column + 448]
    lea     W_column, [W + column]
    mov     bits, nonzero
.panel_k:
    tzcnt   W_k, bits
    vbroadcastss x_nk, [x_n + W_k * F32]
    imul    W_k, stride
    add     W_k, W_column
    vfmadd231ps zmm0, x_nk, [W_k]
    vfmadd231ps zmm1, x_nk, [W_k + 64]
    vfmadd231ps zmm2, x_nk, [W_k + 128]
    vfmadd231ps zmm3, x_nk, [W_k + 192]
    vfmadd231ps zmm4, x_nk, [W_k + 256]
    vfmadd231ps zmm5, x_nk, [W_k + 320]
    vfmadd231ps zmm6, x_nk, [W_k + 384]
    vfmadd231ps zmm7, x_nk, [W_k + 448]
    blsr    bits, bits                          ; without its lowest one
    jnz     .panel_k
    vmovups [z_n + column], zmm0
    vmovups [z_n + column + 64], zmm1
    vmovups [z_n + column + 128], zmm2
    vmovups [z_n + column + 192], zmm3
    vmovups [z_n + column + 256], zmm4
    vmovups [z_n + column + 320], zmm5
    vmovups [z_n + column + 384], zmm6
    vmovups [z_n + column + 448], zmm7
    add     column, PANEL
    jmp     .panel

.tail:                                          ; 16 outputs or what is left
    mov     bits, stride
    sub     bits, column
    jle     .next_sample
    shr     bits, 2
    mov     W_k, -1
    cmp     bits, LANES
    jge     .tail_inside
    bzhi    W_k, W_k, bits                      ; as many ones as columns
.tail_inside:
    kmovw   inside, r14d
    vmovups zmm0{inside}{z}, [z_n + column]
    lea     W_column, [W + column]
    mov     bits, nonzero
.tail_k:
    tzcnt   W_k, bits
    vbroadcastss x_nk, [x_n + W_k * F32]
    imul    W_k, stride
    vmovups w{inside}{z}, [W_column + W_k]
    vfmadd231ps zmm0, x_nk, w
    blsr    bits, bits                          ; without its lowest one
    jnz     .tail_k
    vmovups [z_n + column]{inside}, zmm0
    add     column, LANES * F32
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

    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    vzeroupper
    ret
.end:

%undef x
%undef W
%undef b
%undef column
%undef z_0
%undef rows
%undef inputs
%undef stride
%undef x_stride
%undef bits
%undef x_n
%undef z_n
%undef n
%undef nonzero
%undef W_k
%undef W_column
%undef zero
%undef x_nk
%undef w
%undef block0
%undef block1
%undef block2
%undef block3
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
