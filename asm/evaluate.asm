; How good the network is on samples it has not learned from:
;
;   loss = mean cross-entropy,  correct = how many rows have their largest z3 at y
;
; The forward pass of forward.asm in the order of the file, without its probes: these are no
; steps. No softmax either: the largest z3 is the largest p.

%include "network.inc"
%include "buffers.inc"

    default rel
    section .text

    extern  dense1, relu1, dense2, relu2, dense3  ; forward.asm
    extern  scale_pixels, cross_entropy         ; kernels.asm
    extern  row_argmax                          ; row_max.asm

    global  evaluate:function (evaluate.end - evaluate)

;   int64_t evaluate(const uint8_t *images, const uint8_t *labels, uint64_t count,
;                    double *mean_loss)
;   rdi = images     [count x INPUTS]
;   rsi = labels     [count]
;   rdx = count      > 0
;   rcx = mean_loss  [1]
;   returns how many are right in rax
;   writes x, z1, h1, z2, h2, z3, batch_rows
;   clobbers what a call may
%define images      rbx                         ; of the next sample
%define labels      rbp                         ; of the next sample
%define left        r12                         ; samples still to do
%define correct     r13
%define n           r14                         ; row of the batch
%define z3_row      r15
%define mean_loss   qword [rsp]
%define count       qword [rsp + 8]
%define total_loss  qword [rsp + 16]            ; double: 10,000 terms
%define loss_here   [rsp + 24]                  ; float, of one batch
%define FRAME       40                          ; 8 + 6 * 8 + 40: calls are 16-byte aligned

evaluate:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, FRAME
    mov     images, rdi
    mov     labels, rsi
    mov     left, rdx
    mov     count, rdx
    mov     mean_loss, rcx
    mov     total_loss, 0                       ; 0.0
    xor     correct, correct

.batch:
    mov     eax, BATCH
    cmp     left, rax
    cmovb   rax, left                           ; the last one may be short
    mov     [batch_rows], rax

    mov     rdi, images
    lea     rsi, [x]
    imul    rdx, rax, INPUTS
    call    [scale_pixels]
    call    dense1
    call    relu1
    call    dense2
    call    relu2
    call    dense3

    lea     rdi, [z3]
    mov     rsi, labels
    lea     rdx, loss_here
    mov     rcx, [batch_rows]
    mov     r8d, CLASSES
    call    [cross_entropy]
    cvtss2sd xmm0, dword loss_here
    cvtsi2sd xmm1, qword [batch_rows]
    mulsd   xmm0, xmm1                          ; a short batch counts for what it holds
    addsd   xmm0, total_loss
    movsd   total_loss, xmm0

    lea     z3_row, [z3]
    xor     n, n
.row:
    mov     rdi, z3_row
    mov     esi, CLASSES
    call    row_argmax
    movzx   ecx, byte [labels + n]
    cmp     rax, rcx
    jne     .wrong
    inc     correct
.wrong:
    add     z3_row, CLASSES * F32
    inc     n
    cmp     n, [batch_rows]
    jl      .row

    add     labels, n
    imul    rax, n, INPUTS
    add     images, rax
    sub     left, n
    jnz     .batch

    movsd   xmm0, total_loss
    cvtsi2sd xmm1, count
    divsd   xmm0, xmm1
    mov     rcx, mean_loss
    movsd   [rcx], xmm0
    mov     rax, correct
    add     rsp, FRAME
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef images
%undef labels
%undef left
%undef correct
%undef n
%undef z3_row
%undef mean_loss
%undef count
%undef total_loss
%undef loss_here
%undef FRAME

    section .note.GNU-stack noalloc noexec nowrite progbits
