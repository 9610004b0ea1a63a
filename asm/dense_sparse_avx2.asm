; z = x W + b where most of x is zero, float32, AVX2 and FMA.
;
; A term x[n][k] W[k][...] with x[n][k] = 0 adds nothing, so only the others are visited: of
; 64 inputs of a sample a mask keeps those that are not zero, and its lowest bit names the
; next one. 64 outputs, half a row of the first layer, are summed in 8 registers
; meanwhile. All samples go through the same 64 rows of W before the next 64 come: those stay
; in the cache. Outputs that do not fill the 8 registers go one by one.
;
; The result is the one of dense_avx2.asm but for infinite or undefined weights, which a
; zero in x leaves alone here.

%include "network.inc"

BLOCK           equ 64                          ; inputs, one bit of a mask each
PANEL           equ 64 * F32                    ; bytes of a row that are summed at a time
VECTOR          equ 32                          ; bytes

    default rel
    section .text

    global  dense_sparse_avx2:function (dense_sparse_avx2.end - dense_sparse_avx2)

;   void dense_sparse_avx2(const float *x, const float *W, const float *b, float *z,
;                          int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats
;   rdx = b        [outputs]
;   rcx = z        [rows x outputs]    row stride outputs floats
;   r8  = rows     >= 0
;   r9  = inputs   > 0
;   [rsp + 8] = outputs  >= 0
;   clobbers rax, rcx, rdx, rdi, rsi, r9, r10, r11, ymm0-10
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
%define zero        ymm8
%define x_nk        ymm9                        ; x[n][k] in all lanes
%define x_nk_only   xmm9
%define t           ymm10

dense_sparse_avx2:
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
    vmovups t, [b + k]
    vmovups [z_n + k], t
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
    vxorps  zero, zero, zero

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
.mask:                                          ; 8 inputs
    lea     rax, [rcx + 8]
    cmp     rax, size
    jg      .mask_tail
    vcmpneqps t, zero, [x_n + rcx * F32]        ; also NaN: only zeros may be left out
    vmovmskps eax, t
    shlx    rax, rax, rcx
    or      nonzero, rax
    add     ecx, 8
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

.panel:                                         ; 64 outputs
    lea     rax, [column + PANEL]
    cmp     rax, stride
    jg      .tail
    vmovups ymm0, [z_n + column]
    vmovups ymm1, [z_n + column + 32]
    vmovups ymm2, [z_n + column + 64]
    vmovups ymm3, [z_n + column + 96]
    vmovups ymm4, [z_n + column + 128]
    vmovups ymm5, [z_n + column + 160]
    vmovups ymm6, [z_n + column + 192]
    vmovups ymm7, [z_n + column + 224]
    lea     W_column, [W + column]
    mov     bits, nonzero
.panel_k:
    tzcnt   k, bits
    vbroadcastss x_nk, [x_n + k * F32]
    imul    W_k, stride
    add     W_k, W_column
    vfmadd231ps ymm0, x_nk, [W_k]
    vfmadd231ps ymm1, x_nk, [W_k + 32]
    vfmadd231ps ymm2, x_nk, [W_k + 64]
    vfmadd231ps ymm3, x_nk, [W_k + 96]
    vfmadd231ps ymm4, x_nk, [W_k + 128]
    vfmadd231ps ymm5, x_nk, [W_k + 160]
    vfmadd231ps ymm6, x_nk, [W_k + 192]
    vfmadd231ps ymm7, x_nk, [W_k + 224]
    blsr    bits, bits                          ; without its lowest one
    jnz     .panel_k
    vmovups [z_n + column], ymm0
    vmovups [z_n + column + 32], ymm1
    vmovups [z_n + column + 64], ymm2
    vmovups [z_n + column + 96], ymm3
    vmovups [z_n + column + 128], ymm4
    vmovups [z_n + column + 160], ymm5
    vmovups [z_n + column + 192], ymm6
    vmovups [z_n + column + 224], ymm7
    add     column, PANEL
    jmp     .panel

.tail:                                          ; 1 output
    cmp     column, stride
    jge     .next_sample
    vmovss  xmm0, [z_n + column]
    lea     W_column, [W + column]
    mov     bits, nonzero
.tail_k:
    tzcnt   k, bits
    vmovss  x_nk_only, [x_n + k * F32]
    imul    W_k, stride
    vfmadd231ss xmm0, x_nk_only, [W_column + W_k]
    blsr    bits, bits                          ; without its lowest one
    jnz     .tail_k
    vmovss  [z_n + column], xmm0
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
    vzeroupper
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
%undef x_nk_only
%undef t

    section .note.GNU-stack noalloc noexec nowrite progbits
