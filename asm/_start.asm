; Training, from the command line to the test: begin here.
;
;   for each epoch:                             shuffle.asm
;       for each batch of the epoch:            one step
;           x, y = the next samples             batch.asm
;           loss = network(x) against y         forward.asm
;           dW, dbias = d loss / d W, b         backprop.asm
;           W, b -= learning rate * dW, dbias   gradient.asm
;
; The program begins at `main`, called by the C library's own _start: in a static program
; nothing else selects the library's functions for this processor.

%include "network.inc"
%include "exit.inc"
%include "buffers.inc"
%include "probe.inc"

    default rel

    extern  parse_options                       ; options.asm
    extern  data_directory, epochs, seed, train_limit, test_limit, no_shuffle
    extern  load_dataset                        ; dataset.asm
    extern  train_count, test_images, test_labels, test_count
    extern  random_u64                          ; random.asm
    extern  flush_subnormals                    ; cpu.asm
    extern  choose_kernels                      ; kernels.asm
    extern  initialise                          ; initialise.asm
    extern  order_in_file, order_shuffle        ; shuffle.asm
    extern  batch_order                         ; layers_buffer.asm
    extern  load_batch                          ; batch.asm
    extern  forward                             ; forward.asm
    extern  backprop                            ; backprop.asm
    extern  update                              ; gradient.asm
    extern  evaluate                            ; evaluate.asm
    extern  print_settings, print_epoch, print_test  ; print.asm
    extern  clock_seconds                       ; clock.asm
    extern  fail                                ; fail.asm
    extern  malloc, setvbuf, fflush, ferror, stdout

    global  main:function (main.end - main)
    global  train_epoch:function (train_epoch.end - train_epoch)
    global  train_step:function (train_step.end - train_step)

    global  step:data (step.end - step)
    global  seek_step:data (seek_step.end - seek_step)

_IOLBF          equ 1                           ; write whole lines

    section .text

;   int main(int argc, char **argv)
;   edi = argc
;   rsi = argv
;   returns 0 in eax
%define order       rbx                         ; uint32_t *, [train_count]
%define epoch       rbp                         ; from 0
%define random      [rsp]                       ; uint64, the generator all others come from
%define weight_random   [rsp + 8]               ; uint64, state of the weights' generator
%define order_random    [rsp + 16]              ; uint64, state of the samples' order
%define start       qword [rsp + 24]            ; double, seconds
%define mean_loss   qword [rsp + 32]            ; double
%define FRAME       40                          ; 8 + 2 * 8 + 40: calls are 16-byte aligned

main:
    push    rbx
    push    rbp
    sub     rsp, FRAME
    call    parse_options
    call    choose_kernels
    call    flush_subnormals

    mov     rdi, [stdout]                       ; every epoch is seen when it ends, also in a pipe
    xor     esi, esi
    mov     edx, _IOLBF
    xor     ecx, ecx
    call    setvbuf

    mov     rdi, [data_directory]
    mov     rsi, [train_limit]
    mov     rdx, [test_limit]
    call    load_dataset

    imul    rdi, [train_count], INDEX
    call    malloc
    test    rax, rax
    jz      .no_memory
    mov     order, rax
    mov     rdi, order
    mov     rsi, [train_count]
    call    order_in_file

    mov     rax, [seed]                         ; each use has a generator of its own, seeded by
    mov     random, rax                         ;   this one: one more use disturbs no other
    lea     rdi, random
    call    random_u64
    mov     weight_random, rax
    lea     rdi, random
    call    random_u64
    mov     order_random, rax

    lea     rdi, weight_random
    call    initialise
    call    print_settings

    xor     epoch, epoch
.epoch:
    call    clock_seconds
    movsd   start, xmm0
    cmp     qword [no_shuffle], 0
    jne     .in_order
    mov     rdi, order
    mov     rsi, [train_count]
    lea     rdx, order_random
    call    order_shuffle
.in_order:
    mov     rdi, order
    mov     rsi, [train_count]
    call    train_epoch
    movsd   mean_loss, xmm0
    call    clock_seconds
    subsd   xmm0, start
    movsd   xmm1, xmm0
    movsd   xmm0, mean_loss
    lea     rdi, [epoch + 1]                    ; people count from 1
    call    print_epoch
    inc     epoch
    cmp     epoch, [epochs]
    jb      .epoch

    mov     rdi, [test_images]
    mov     rsi, [test_labels]
    mov     rdx, [test_count]
    lea     rcx, mean_loss
    call    evaluate
    mov     rdi, rax
    mov     rsi, [test_count]
    movsd   xmm0, mean_loss
    call    print_test

    mov     rdi, [stdout]                       ; a full disk must not look like success
    call    fflush
    mov     rdi, [stdout]
    call    ferror
    test    eax, eax
    jnz     .not_written
    xor     eax, eax
    add     rsp, FRAME
    pop     rbp
    pop     rbx
    ret

.no_memory:
    mov     edi, EXIT_DATA
    lea     rsi, [no_memory]
    mov     rdx, [train_count]
    call    fail
.not_written:
    mov     edi, EXIT_DATA
    lea     rsi, [not_written]
    call    fail
.end:

%undef order
%undef epoch
%undef random
%undef weight_random
%undef order_random
%undef start
%undef mean_loss
%undef FRAME

;   double train_epoch(const uint32_t *order, uint64_t count)
;   rdi = order  [count]  sample numbers, in the order to visit them
;   rsi = count  > 0
;   returns the mean loss of the epoch in xmm0
;   clobbers what a call may
%define next        rbx                         ; the first sample of the next batch
%define left        rbp                         ; samples still to visit
%define count       r12
%define total_loss  qword [rsp]                 ; double: a thousand terms

train_epoch:
    push    rbx
    push    rbp
    push    r12
    sub     rsp, 16                             ; 8 + 3 * 8 + 16: calls are 16-byte aligned
    mov     next, rdi
    mov     left, rsi
    mov     count, rsi
    mov     total_loss, 0                       ; 0.0

.batch:
    mov     eax, BATCH
    cmp     left, rax
    cmovb   rax, left                           ; the last one may be short
    mov     [batch_rows], rax
    mov     [batch_order], next
    call    train_step

    cvtss2sd xmm0, [loss]
    cvtsi2sd xmm1, qword [batch_rows]
    mulsd   xmm0, xmm1                          ; a short batch counts for what it holds
    addsd   xmm0, total_loss
    movsd   total_loss, xmm0
    mov     rax, [batch_rows]
    lea     next, [next + rax * INDEX]
    sub     left, rax
    jnz     .batch

    movsd   xmm0, total_loss
    cvtsi2sd xmm1, count
    divsd   xmm0, xmm1
    add     rsp, 16
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef next
%undef left
%undef count
%undef total_loss

;   void train_step(void)
;   reads  batch_order, batch_rows, the training set
;   writes all buffers; counts step
;   clobbers what a call may
train_step:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rax, [step]
    cmp     rax, [seek_step]
    je      .sought
.begin:
    PROBE   step
    call    load_batch
    call    forward
    call    backprop
    call    update
    inc     qword [step]
    add     rsp, 8
    ret

.sought:                                        ; a debugger asked for this step, see seek_step
    PROBE   seek
    jmp     .begin
.end:

    section .data align=8

; A debugger that wants step n writes n here and goes on to the probe `seek`: one stop
; instead of n.
seek_step:      dq -1                           ; uint64, no step has this number
.end:

    section .bss align=8

step:           resq 1                          ; uint64, the step that runs, over all epochs
.end:

    section .rodata

no_memory:      db "no memory for the order of %lu samples; use a smaller --train-limit", 0
not_written:    db "the results could not be written; is the disk full?", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
