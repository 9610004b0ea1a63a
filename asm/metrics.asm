; The course of the training as a file: one JSON object a line, see docs/metrics.md.
;
; A line is put together in memory and goes out with a single write, so a program that is
; killed leaves whole lines behind.

%include "network.inc"
%include "buffers.inc"
%include "exit.inc"
%include "evaluate.inc"
%include "file.inc"
%include "update.inc"

    default rel
    section .text

    extern  json_text, json_number              ; json.asm
    extern  clock_seconds                       ; clock.asm
    extern  fail                                ; fail.asm
    extern  data_directory, epochs, batch_size, seed, shuffle_on  ; options.asm
    extern  learning_rate, momentum, decay, dropout_rate, init_scheme
    extern  load_path, save_path, metrics_path, metrics_every
    extern  train_count, test_count, test_labels  ; dataset.asm
    extern  kernels_name                        ; kernels.asm
    extern  epoch, step                         ; _start.asm
    extern  test_loss, correct, confusion       ; evaluate.asm
    extern  sample_count, sample_index, sample_class, sample_p
    extern  fprintf, fputc, fputs, fflush, fdopen, setvbuf, open, fcntl
    extern  strerror, __errno_location

    global  metrics_start:function (metrics_start.end - metrics_start)
    global  metrics_step:function (metrics_step.end - metrics_step)
    global  metrics_pause:function (metrics_pause.end - metrics_pause)
    global  metrics_epoch:function (metrics_epoch.end - metrics_epoch)
    global  metrics_test:function (metrics_test.end - metrics_test)
    global  test_accuracy:function (test_accuracy.end - test_accuracy)
    global  elapsed:function (elapsed.end - elapsed)
    global  text_or_null:function (text_or_null.end - text_or_null)
    global  end_line:function (end_line.end - end_line)
    global  cannot_write:function (cannot_write.end - cannot_write)
    global  metrics:data (metrics.end - metrics)

F_SETFL         equ 4
_IOFBF          equ 0                           ; write when asked to
LINE_MOST       equ 128 * 1024                  ; four paths of 4095 bytes, each written as \u0000,
                                                ;   and the rest
ANYBODY_MAY     equ 0o666                       ; less what the user's umask takes away

; PRINT format: prints to the file; the other arguments are in place
%macro PRINT 1.nolist
    mov     rdi, [metrics]
    lea     rsi, [%1]
    xor     eax, eax
    call    fprintf
%endmacro

; NUMBER name: prints what xmm0 holds, after its name
%macro NUMBER 1.nolist
    movsd   [number], xmm0
    PRINT   %1
    mov     rdi, [metrics]
    movsd   xmm0, [number]
    call    json_number
%endmacro

;   void metrics_start(void)
;   opens the file of --metrics, if there is one, and writes the settings
;   ends the program if it cannot be written
;   clobbers what a call may
metrics_start:
    sub     rsp, 8                              ; calls are 16-byte aligned
    cmp     qword [metrics_path], 0
    je      .done
    mov     rdi, [metrics_path]
    mov     esi, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK | O_CLOEXEC
    mov     edx, ANYBODY_MAY
    xor     eax, eax
    call    open
    test    eax, eax
    js      .failed
    mov     [descriptor], eax
    mov     edi, eax
    mov     esi, F_SETFL
    mov     edx, O_APPEND                       ; from now on a pipe that is full is waited for
    xor     eax, eax
    call    fcntl
    mov     edi, [descriptor]
    lea     rsi, [append]
    call    fdopen
    test    rax, rax
    jz      .failed
    mov     [metrics], rax
    mov     rdi, rax
    lea     rsi, [line]
    mov     edx, _IOFBF
    mov     ecx, LINE_MOST
    call    setvbuf
    call    clock_seconds
    movsd   [began], xmm0

    mov     edx, INPUTS
    mov     ecx, HIDDEN1
    mov     r8d, HIDDEN2
    mov     r9d, CLASSES
    PRINT   start_network
    mov     rdi, [metrics]
    mov     rsi, [data_directory]
    call    json_text
    mov     rdx, [train_count]
    mov     rcx, [test_count]
    mov     r8, [epochs]
    mov     r9, [batch_size]
    PRINT   start_sizes
    cvtss2sd xmm0, [learning_rate]
    cvtss2sd xmm1, [momentum]
    cvtss2sd xmm2, [decay]
    cvtss2sd xmm3, [dropout_rate]
    mov     rdi, [metrics]
    lea     rsi, [start_rates]
    mov     eax, 4                              ; four vector registers are in use
    call    fprintf
    lea     rax, [scheme_names]
    mov     rdx, [init_scheme]
    mov     rdx, [rax + rdx * 8]
    mov     rcx, [seed]
    lea     r8, [false]
    lea     rax, [true]
    cmp     qword [shuffle_on], 0
    cmovne  r8, rax
    mov     r9, [kernels_name]
    PRINT   start_rest
    PRINT   start_load
    mov     rdi, [load_path]
    call    text_or_null
    PRINT   start_save
    mov     rdi, [save_path]
    call    text_or_null
    call    end_line
.done:
    add     rsp, 8
    ret

.failed:
    call    cannot_write
.end:

;   void metrics_step(void)
;   a line for the step that was just counted, if it is one of the --metrics-every
;   reads  step, epoch, loss
;   clobbers what a call may
metrics_step:
    sub     rsp, 8                              ; calls are 16-byte aligned
    cmp     qword [metrics], 0
    je      .done
    mov     rax, [step]
    dec     rax
    mov     rcx, rax                            ; the step's number
    xor     edx, edx
    div     qword [metrics_every]
    test    rdx, rdx
    jnz     .done
    mov     rdx, [epoch]
    inc     rdx                                 ; people count from 1
    PRINT   step_numbers
    cvtss2sd xmm0, [loss]
    NUMBER  loss_is
    call    elapsed
    NUMBER  seconds_is
    call    end_line
.done:
    add     rsp, 8
    ret
.end:

;   void metrics_pause(void)
;   stops the clock of the metrics until metrics_epoch: an evaluation is no training
;   clobbers what a call may
metrics_pause:
    sub     rsp, 8                              ; calls are 16-byte aligned
    call    clock_seconds
    movsd   [paused], xmm0
    add     rsp, 8
    ret
.end:

;   void metrics_epoch(double mean_loss)
;   xmm0 = mean_loss  of the epoch
;   a line for the epoch that runs; since metrics_pause the test set was evaluated
;   clobbers what a call may
%define mean_loss   qword [rsp]

metrics_epoch:
    sub     rsp, 8                              ; calls are 16-byte aligned
    movsd   mean_loss, xmm0
    mov     rdx, [epoch]
    inc     rdx                                 ; people count from 1
    PRINT   epoch_number
    movsd   xmm0, mean_loss
    NUMBER  loss_is
    movsd   xmm0, [test_loss]
    NUMBER  test_loss_is
    call    test_accuracy
    NUMBER  test_accuracy_is
    movsd   xmm0, [paused]
    subsd   xmm0, [began]
    NUMBER  seconds_is
    call    end_line
    call    clock_seconds
    subsd   xmm0, [paused]
    addsd   xmm0, [began]
    movsd   [began], xmm0                       ; as if the pause had not been
    add     rsp, 8
    ret
.end:

%undef mean_loss

;   void metrics_test(void)
;   a line for what evaluate found
;   clobbers what a call may
%define label       rbx
%define class       rbp
%define row         r12                         ; of confusion
%define count       r13                         ; samples with this label
%define separator   r14

metrics_test:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14                                 ; 8 + 5 * 8: calls are 16-byte aligned
    cmp     qword [metrics], 0
    je      .done
    PRINT   test
    movsd   xmm0, [test_loss]
    NUMBER  loss_is
    call    test_accuracy
    NUMBER  accuracy_is

    PRINT   per_class
    lea     row, [confusion]
    xor     label, label
    lea     separator, [nothing]
.class:
    xor     count, count
    xor     class, class
.count:
    add     count, [row + class * 8]
    inc     class
    cmp     class, CLASSES
    jb      .count
    mov     rdi, separator
    mov     rsi, [metrics]
    call    fputs
    lea     rdi, [null]
    test    count, count
    jz      .no_such_digit
    cvtsi2sd xmm0, qword [row + label * 8]
    cvtsi2sd xmm1, count
    divsd   xmm0, xmm1
    mov     rdi, [metrics]
    call    json_number
    jmp     .next_class
.no_such_digit:
    mov     rsi, [metrics]
    call    fputs
.next_class:
    lea     separator, [comma]
    add     row, CLASSES * 8
    inc     label
    cmp     label, CLASSES
    jb      .class

    PRINT   matrix
    lea     row, [confusion]
    xor     label, label
    lea     separator, [row_first]
.row:
    mov     rdi, separator
    mov     rsi, [metrics]
    call    fputs
    lea     separator, [nothing]
    xor     class, class
.cell:
    mov     rdx, separator
    mov     rcx, [row + class * 8]
    PRINT   cell
    lea     separator, [comma]
    inc     class
    cmp     class, CLASSES
    jb      .cell
    lea     separator, [row_next]
    add     row, CLASSES * 8
    inc     label
    cmp     label, CLASSES
    jb      .row

    PRINT   samples
    lea     separator, [nothing]
    xor     count, count
.sample:
    mov     rdx, separator
    lea     rax, [sample_index]
    mov     ecx, [rax + count * INDEX]
    mov     rax, [test_labels]
    movzx   r8d, byte [rax + rcx]
    lea     rax, [sample_class]
    movzx   r9d, byte [rax + count]
    PRINT   sample
    lea     rax, [sample_p]
    cvtss2sd xmm0, [rax + count * F32]
    mov     rdi, [metrics]
    call    json_number
    mov     edi, '}'
    mov     rsi, [metrics]
    call    fputc
    lea     separator, [comma]
    inc     count
    cmp     count, [sample_count]
    jb      .sample
    mov     edi, ']'
    mov     rsi, [metrics]
    call    fputc
    call    end_line
.done:
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef label
%undef class
%undef row
%undef count
%undef separator

;   double test_accuracy(void)
;   returns the part of the test set that is right, 0..1, in xmm0
;   clobbers xmm1
test_accuracy:
    cvtsi2sd xmm0, qword [correct]
    cvtsi2sd xmm1, qword [test_count]
    divsd   xmm0, xmm1
    ret
.end:

;   double elapsed(void)
;   returns the seconds since the file was opened, without the pauses, in xmm0
;   clobbers what a call may
elapsed:
    sub     rsp, 8                              ; calls are 16-byte aligned
    call    clock_seconds
    subsd   xmm0, [began]
    add     rsp, 8
    ret
.end:

;   void text_or_null(const char *text)
;   rdi = text  or a null pointer
;   clobbers what a call may
text_or_null:
    mov     rsi, rdi
    mov     rdi, [metrics]
    test    rsi, rsi
    jnz     json_text                           ; its ret is ours
    lea     rsi, [null]
    xor     eax, eax
    jmp     fprintf
.end:

;   void end_line(void)
;   closes the object and writes the line
;   clobbers what a call may
end_line:
    sub     rsp, 8                              ; calls are 16-byte aligned
    lea     rdi, [object_end]
    mov     rsi, [metrics]
    call    fputs
    mov     rdi, [metrics]
    call    fflush
    test    eax, eax
    jnz     .failed
    add     rsp, 8
    ret
.failed:
    call    cannot_write
.end:

;   noreturn void cannot_write(void)
;   says why by errno
cannot_write:
    sub     rsp, 8                              ; calls are 16-byte aligned
    call    __errno_location
    mov     edi, [rax]
    call    strerror
    mov     edi, EXIT_DATA
    lea     rsi, [not_written]
    mov     rdx, [metrics_path]
    mov     rcx, rax
    call    fail
.end:

    section .bss align=CACHE_LINE

line:           resb LINE_MOST                  ; what is to be written
metrics:        resq 1                          ; FILE *, 0 without --metrics
.end:
began:          resq 1                          ; double, seconds: when the file was opened, later
                                                ;   by all pauses
paused:         resq 1                          ; double, seconds: when the last pause began
number:         resq 1                          ; double, over a call
descriptor:     resd 1

    section .rodata align=8

scheme_names:   dq glorot, he, loaded           ; in the order of INIT_GLOROT to INIT_LOADED

glorot:         db "glorot", 0
he:             db "he", 0
loaded:         db "loaded", 0
true:           db "true", 0
false:          db "false", 0
null:           db "null", 0
nothing:        db 0
comma:          db ",", 0
append:         db "a", 0
object_end:     db "}", 10, 0

start_network:  db '{"event":"start","network":[%u,%u,%u,%u],"data":', 0
start_sizes:    db ',"train":%lu,"test":%lu,"epochs":%lu,"batch":%lu', 0
start_rates:    db ',"lr":%.7g,"momentum":%.7g,"weight_decay":%.7g,"dropout":%.7g', 0
start_rest:     db ',"init":"%s","seed":%lu,"shuffle":%s,"kernels":"%s"', 0
start_load:     db ',"load":', 0
start_save:     db ',"save":', 0
step_numbers:   db '{"event":"step","epoch":%lu,"step":%lu', 0
epoch_number:   db '{"event":"epoch","epoch":%lu', 0
test:           db '{"event":"test"', 0
loss_is:        db ',"loss":', 0
accuracy_is:    db ',"accuracy":', 0
test_loss_is:   db ',"test_loss":', 0
test_accuracy_is:
                db ',"test_accuracy":', 0
seconds_is:     db ',"seconds":', 0
per_class:      db ',"per_class":[', 0
matrix:         db '],"confusion":[', 0
row_first:      db '[', 0
row_next:       db '],[', 0
cell:           db '%s%lu', 0
samples:        db ']],"samples":[', 0
sample:         db '%s{"index":%lu,"label":%u,"predicted":%u,"p":', 0
not_written:    db "%s: cannot be written: %s; name another file with --metrics", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
