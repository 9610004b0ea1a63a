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

    extern  flush_subnormals                    ; cpu.asm
    extern  parse_options                       ; options.asm
    extern  data_directory, epochs, batch_size, seed, train_limit, test_limit, shuffle_on
    extern  load_path, save_path
    extern  choose_kernels                      ; kernels.asm
    extern  load_dataset, train_count           ; dataset.asm
    extern  allocate_orders                     ; shuffle.asm
    extern  order_shuffle, train_order
    extern  seed_generators                     ; seeds.asm
    extern  initialise                          ; initialise.asm
    extern  batch_order                         ; layers_buffer.asm
    extern  load_batch                          ; batch.asm
    extern  forward                             ; forward.asm
    extern  backprop                            ; backprop.asm
    extern  update                              ; gradient.asm
    extern  evaluate                            ; evaluate.asm
    extern  metrics_start, metrics_step, metrics_pause  ; metrics.asm
    extern  metrics_epoch, metrics_test, metrics
    extern  load_weights, save_weights, check_save  ; weights.asm
    extern  print_settings, print_epoch, print_test  ; print.asm
    extern  clock_seconds                       ; clock.asm
    extern  fail                                ; fail.asm
    extern  setvbuf, fflush, ferror, stdout

    global  main:function (main.end - main)
    global  train:function (train.end - train)
    global  train_epoch:function (train_epoch.end - train_epoch)
    global  train_step:function (train_step.end - train_step)

    global  epoch:data (epoch.end - epoch)
    global  step:data (step.end - step)
    global  seek_step:data (seek_step.end - seek_step)

_IOLBF          equ 1                           ; write whole lines

    section .text

;   int main(int argc, char **argv)
;   edi = argc
;   rsi = argv
;   returns 0 in eax
%define argc        rbx
%define argv        rbp

main:
    push    rbx
    push    rbp
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    mov     argc, rdi
    mov     argv, rsi
    call    flush_subnormals                    ; also for what the options say
    mov     rdi, argc
    mov     rsi, argv
    call    parse_options
    call    choose_kernels

    mov     rdi, [stdout]                       ; every epoch is seen when it ends, also in a pipe
    xor     esi, esi
    mov     edx, _IOLBF
    xor     ecx, ecx
    call    setvbuf

    mov     rdi, [data_directory]
    mov     rsi, [train_limit]
    mov     rdx, [test_limit]
    call    load_dataset
    call    allocate_orders
    mov     rdi, [save_path]
    test    rdi, rdi
    jz      .nothing_to_save
    call    check_save
.nothing_to_save:
    mov     rdi, [load_path]
    test    rdi, rdi
    jz      .nothing_to_load
    call    load_weights
.nothing_to_load:
    mov     rdi, [seed]
    call    seed_generators
    call    initialise
    call    metrics_start
    call    print_settings

    call    train
    call    evaluate
    call    print_test
    call    metrics_test
    mov     rdi, [save_path]
    test    rdi, rdi
    jz      .saved
    call    save_weights
.saved:
    mov     rdi, [stdout]                       ; a full disk must not look like success
    call    fflush
    mov     rdi, [stdout]
    call    ferror
    test    eax, eax
    jnz     .not_written
    xor     eax, eax
    add     rsp, 8
    pop     rbp
    pop     rbx
    ret

.not_written:
    mov     edi, EXIT_DATA
    lea     rsi, [not_written]
    call    fail
.end:

%undef argc
%undef argv

;   void train(void)
;   all epochs, with a line for each; counts epoch
;   clobbers what a call may
%define start       qword [rsp]                 ; double, seconds
%define mean_loss   qword [rsp + 8]             ; double

train:
    sub     rsp, 24                             ; 8 + 24: calls are 16-byte aligned
.epoch:
    call    clock_seconds
    movsd   start, xmm0
    PROBE   epoch
    cmp     qword [shuffle_on], 0
    je      .in_order
    mov     rdi, [train_order]
    mov     rsi, [train_count]
    lea     rdx, [order_state]
    call    order_shuffle
    PROBE   shuffle
.in_order:
    mov     rdi, [train_order]
    mov     rsi, [train_count]
    call    train_epoch
    movsd   mean_loss, xmm0
    call    clock_seconds
    subsd   xmm0, start
    movsd   xmm1, xmm0
    movsd   xmm0, mean_loss
    call    print_epoch
    cmp     qword [metrics], 0
    je      .next
    call    metrics_pause
    call    evaluate                            ; costs time, so only for those who ask
    movsd   xmm0, mean_loss
    call    metrics_epoch
.next:
    inc     qword [epoch]
    mov     rax, [epoch]
    cmp     rax, [epochs]
    jb      .epoch
    add     rsp, 24
    ret
.end:

%undef start
%undef mean_loss

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
    mov     rax, [batch_size]
    cmp     left, rax
    cmovb   rax, left                           ; the last one may be short
    mov     [batch_rows], rax
    mov     [batch_order], next
    call    train_step
    call    metrics_step

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

epoch:          resq 1                          ; uint64, the epoch that runs, from 0
.end:
step:           resq 1                          ; uint64, the step that runs, over all epochs
.end:

    section .rodata

not_written:    db "the results could not be written; is the disk full?", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
