; How good the network is on samples it has not learned from:
;
;   loss = mean cross-entropy,  class = where z3 is largest,
;   confusion[y][class] = how often the label y was taken for that class
;
; The forward pass of forward.asm in the order of the file, without dropout. A batch is a step
; of its own kind, with its own counter and probes.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"
%include "evaluate.inc"

    default rel
    section .text

    extern  test_images, test_labels, test_count  ; dataset.asm
    extern  test_order                          ; shuffle.asm
    extern  batch_order                         ; layers_buffer.asm
    extern  gather_images, gather_labels        ; batch.asm
    extern  dense1, relu1, dense2, relu2, dense3, softmax3, mean_loss  ; forward.asm
    extern  row_argmax                          ; row_max.asm

    global  evaluate:function (evaluate.end - evaluate)
    global  test_step:function (test_step.end - test_step)
    global  count_classes:function (count_classes.end - count_classes)

    global  test_loss:data (test_loss.end - test_loss)
    global  correct:data (correct.end - correct)
    global  confusion:data (confusion.end - confusion)
    global  sample_count:data (sample_count.end - sample_count)
    global  sample_index:data (sample_index.end - sample_index)
    global  sample_class:data (sample_class.end - sample_class)
    global  sample_p:data (sample_p.end - sample_p)
    global  test_steps:data (test_steps.end - test_steps)
    global  seek_test_step:data (seek_test_step.end - seek_test_step)

;   void evaluate(void)
;   reads  the test set
;   writes test_loss, correct, confusion, the samples; x .. loss, batch_rows, batch_order;
;          counts test_steps
;   clobbers what a call may
%define first       rbx                         ; number of the batch's first sample
%define total_loss  qword [rsp]                 ; double: 10,000 terms

evaluate:
    push    rbx
    sub     rsp, 16                             ; 8 + 8 + 16: calls are 16-byte aligned
    lea     rdi, [confusion]
    xor     eax, eax
    mov     [correct], rax
    mov     [sample_count], rax
    mov     [wrong_count], rax
    mov     total_loss, rax                     ; 0.0
    mov     ecx, CLASSES * CLASSES
    rep stosq
    xor     first, first

.batch:
    mov     rcx, [test_count]
    sub     rcx, first
    mov     eax, TEST_BATCH
    cmp     rcx, rax
    cmova   rcx, rax                            ; the last one may be short
    mov     [batch_rows], rcx
    mov     rax, [test_order]
    lea     rax, [rax + first * INDEX]
    mov     [batch_order], rax
    call    test_step

    cvtss2sd xmm0, [loss]
    cvtsi2sd xmm1, qword [batch_rows]
    mulsd   xmm0, xmm1                          ; a short batch counts for what it holds
    addsd   xmm0, total_loss
    movsd   total_loss, xmm0
    mov     rdi, first
    call    count_classes
    add     first, [batch_rows]
    cmp     first, [test_count]
    jb      .batch

    movsd   xmm0, total_loss
    cvtsi2sd xmm1, qword [test_count]
    divsd   xmm0, xmm1
    movsd   [test_loss], xmm0
    add     rsp, 16
    pop     rbx
    ret
.end:

%undef first
%undef total_loss

;   void test_step(void)
;   reads  batch_order, batch_rows, the test set
;   writes x, y, z1 .. loss; counts test_steps
;   clobbers what a call may
test_step:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rax, [test_steps]
    cmp     rax, [seek_test_step]
    je      .sought
.begin:
    PROBE   test_step

    mov     rdi, [test_images]
    mov     rsi, [batch_order]
    lea     rdx, [x]
    mov     rcx, [batch_rows]
    mov     r8d, INPUTS
    call    gather_images
    PROBE   test_load_x
    mov     rdi, [test_labels]
    mov     rsi, [batch_order]
    lea     rdx, [y]
    mov     rcx, [batch_rows]
    call    gather_labels
    PROBE   test_load_y

    call    dense1
    PROBE   test_dense1
    call    relu1
    PROBE   test_relu1
    call    dense2
    PROBE   test_dense2
    call    relu2
    PROBE   test_relu2
    call    dense3
    PROBE   test_dense3
    call    softmax3
    PROBE   test_softmax
    call    mean_loss
    PROBE   test_loss

    inc     qword [test_steps]
    add     rsp, 8
    ret

.sought:                                        ; a debugger asked for this step, see seek_step
    PROBE   test_seek
    jmp     .begin
.end:

;   void count_classes(uint64_t first)
;   rdi = first  number of the batch's first sample
;   reads  z3, p, y, batch_rows
;   writes confusion, correct; adds to the samples
;   clobbers what a call may
%define sample      rbx                         ; its number in the test set
%define n           rbp                         ; row of the batch
%define z3_row      r12
%define p_row       r13

count_classes:
    push    rbx
    push    rbp
    push    r12
    push    r13
    sub     rsp, 8                              ; 8 + 4 * 8 + 8: calls are 16-byte aligned
    mov     sample, rdi
    lea     z3_row, [z3]
    lea     p_row, [p]
    xor     n, n
.row:
    mov     rdi, z3_row
    mov     esi, CLASSES
    call    row_argmax
    lea     rdi, [y]
    movzx   ecx, byte [rdi + n]
    cmp     rax, rcx
    jne     .wrong
    inc     qword [correct]
    cmp     sample, FIRST_SAMPLES
    jae     .count
    jmp     .keep
.wrong:
    cmp     sample, FIRST_SAMPLES
    jb      .keep
    cmp     qword [wrong_count], WRONG_SAMPLES
    jae     .count
    inc     qword [wrong_count]
.keep:
    mov     rdx, [sample_count]
    lea     rdi, [sample_index]
    mov     [rdi + rdx * INDEX], ebx
    lea     rdi, [sample_class]
    mov     [rdi + rdx], al
    movss   xmm0, [p_row + rax * F32]
    lea     rdi, [sample_p]
    movss   [rdi + rdx * F32], xmm0
    inc     qword [sample_count]

.count:
    imul    ecx, CLASSES
    add     ecx, eax
    lea     rdi, [confusion]
    inc     qword [rdi + rcx * 8]
    add     z3_row, CLASSES * F32
    add     p_row, CLASSES * F32
    inc     sample
    inc     n
    cmp     n, [batch_rows]
    jl      .row

    add     rsp, 8
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef sample
%undef n
%undef z3_row
%undef p_row

    section .data align=8

seek_test_step: dq -1                           ; uint64, no test step has this number
.end:

    section .bss align=8

test_steps:     resq 1                          ; uint64, the test step that runs, over all tests
.end:
test_loss:      resq 1                          ; double, mean over the test set
.end:
correct:        resq 1                          ; uint64, samples whose class is their label
.end:
confusion:      resq CLASSES * CLASSES          ; uint64, [label][class]
.end:
sample_count:   resq 1                          ; uint64, samples kept, in the order of the set:
.end:                                           ;   the first, then the first wrong ones
wrong_count:    resq 1                          ; uint64, how many of them are not the first
sample_index:   resd SAMPLES                    ; uint32, number in the test set
.end:
sample_p:       resd SAMPLES                    ; float, probability of the class
.end:
sample_class:   resb SAMPLES                    ; uint8, what the sample was taken for
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
