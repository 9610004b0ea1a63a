; The command line: --name value or --name=value, by a table.
;
; A new option is a line of the table and a variable. The defaults go through the same
; parsers as what a user types, so --help shows exactly what is used.

%include "network.inc"
%include "exit.inc"
%include "option.inc"
%include "update.inc"

    default rel

    extern  parse_text, parse_whole, parse_count, parse_real  ; option_value.asm
    extern  parse_flag, parse_choice, parse_below_one
    extern  fail                                ; fail.asm
    extern  printf, exit, strcspn, strlen, memcmp

    global  parse_options:function (parse_options.end - parse_options)
    global  find_option:function (find_option.end - find_option)
    global  print_help:function (print_help.end - print_help)

    global  set_switches:function (set_switches.end - set_switches)

; OPTION name, metavar, default, parser, variable, least, most, help: a line of the table.
; An empty metavar: the option takes no value.
%macro OPTION 8
[section .rodata]
%%name:     db %1, 0
%%metavar:  db %2, 0
%%default:  db %3, 0
%%help:     db %8, 0
__?SECT?__
    istruc  option
    at      option.name,    dq %%name
    at      option.metavar, dq %%metavar
    at      option.default, dq %%default
    at      option.help,    dq %%help
    at      option.parse,   dq %4
    at      option.target,  dq %5
    at      option.least,   dq %6
    at      option.most,    dq %7
    iend
%endmacro

    section .data align=8

table:
    OPTION "data",        "DIR", "dataset", parse_text,  data_directory, 0, 0, \
           "where MNIST's four unpacked IDX files are"
    OPTION "train-limit", "N",   "all",     parse_count, train_limit, 1, 0xffffffff, \
           "use only the first N training samples"
    OPTION "test-limit",  "N",   "all",     parse_count, test_limit, 1, 0xffffffff, \
           "use only the first N test samples"
    OPTION "epochs",      "N",   "10",      parse_whole, epochs, 1, 100000, \
           "how often to go through the training set"
    OPTION "batch",       "N",   "64",      parse_whole, batch_size, 1, BATCH_MAX, \
           "samples for each update of the weights"
    OPTION "lr",          "RATE", "0.01",   parse_real,  learning_rate, 1.0e-6, 10.0, \
           "learning rate"
    OPTION "momentum",    "M",   "0",       parse_below_one, momentum, 0, 0, \
           "how much of its velocity a weight keeps from step to step"
    OPTION "weight-decay", "L",  "0",       parse_real,  decay, 0.0, 10.0, \
           "add L times the weight to each weight's gradient"
    OPTION "dropout",     "P",   "0",       parse_below_one, dropout_rate, 0, 0, \
           "drop a number of a hidden layer with probability P in training"
    OPTION "init",        "glorot|he", "glorot", parse_choice, init_scheme, init_names, 0, \
           "how wide the random weights are spread"
    OPTION "seed",        "N",   "42",      parse_whole, seed, 0, 0xffffffffffffffff, \
           "of the random weights, the order of the samples and the dropout"
    OPTION "no-shuffle",  "",    "",        parse_flag,  no_shuffle, 0, 0, \
           "take the samples in the order of the file"
    OPTION "isa",         "ISA", "auto",    parse_text,  isa, 0, 0, \
           "instructions to use: sse2, avx2, avx512, or the best there are"
    OPTION "no-fuse",     "",    "",        parse_flag,  no_fuse, 0, 0, \
           "store the first layer's weight gradient before the update"
    OPTION "load",        "FILE", "",       parse_text,  load_path, 0, 0, \
           "begin with weights that --save wrote"
    OPTION "save",        "FILE", "",       parse_text,  save_path, 0, 0, \
           "write the weights there in the end"
    OPTION "metrics",     "FILE", "",       parse_text,  metrics_path, 0, 0, \
           "write the course of the training there, as lines of JSON"
    OPTION "metrics-every", "N", "100",     parse_whole, metrics_every, 1, 0xffffffff, \
           "steps from one of these lines to the next"
    OPTION "help",        "",    "",        print_help,  0, 0, 0, \
           "print this and exit"
table_end:

    section .text

;   void parse_options(int argc, char **argv)
;   edi = argc
;   rsi = argv
;   writes the variables of the table
;   ends the program on --help and on anything that is wrong
;   clobbers what a call may
%define argv        rbx                         ; the next argument, ends with a null pointer
%define entry       rbp
%define argument    r12
%define value       r13                         ; text after the '=', or 0
%define length      r14                         ; of the name

parse_options:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14                                 ; 8 + 5 * 8: calls are 16-byte aligned
    mov     argv, rsi

    lea     entry, [table]
.default:
    mov     rdi, [entry + option.default]
    cmp     byte [rdi], 0
    je      .no_default
    mov     rsi, entry
    call    [entry + option.parse]
.no_default:
    add     entry, option_size
    lea     rax, [table_end]
    cmp     entry, rax
    jb      .default

    cmp     qword [argv], 0                     ; a program can be started without even a name
    je      .done
    add     argv, 8
.argument:
    mov     argument, [argv]
    test    argument, argument
    jz      .done
    add     argv, 8
    cmp     byte [argument], '-'
    jne     .unexpected
    cmp     byte [argument + 1], '-'
    jne     .unexpected

    lea     rdi, [argument + 2]
    lea     rsi, [equals]
    call    strcspn
    mov     length, rax
    lea     rdi, [argument + 2]
    mov     rsi, length
    call    find_option
    test    rax, rax
    jz      .unknown
    mov     entry, rax

    lea     value, [argument + 2 + length]      ; the '=', if there is one
    cmp     byte [value], 0
    lea     value, [value + 1]                  ; lea: the flags are still wanted
    jne     .with_equals
    mov     rdi, [entry + option.metavar]
    cmp     byte [rdi], 0
    je      .parse                              ; a flag: its parser reads no value

    mov     value, [argv]
    test    value, value
    jz      .no_value
    add     argv, 8
    cmp     byte [value], '-'
    jne     .parse
    cmp     byte [value + 1], '-'               ; the next option, not a value
    je      .no_value
    jmp     .parse
.with_equals:
    mov     rdi, [entry + option.metavar]
    cmp     byte [rdi], 0
    je      .needless_value
.parse:
    mov     rdi, value
    mov     rsi, entry
    call    [entry + option.parse]
    jmp     .argument

.done:
    call    set_switches
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

.unexpected:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [unexpected]
    mov     rdx, argument
    call    fail
.unknown:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [unknown]
    mov     rdx, argument
    call    fail
.no_value:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [no_value]
    mov     rdx, [entry + option.name]
    mov     rcx, [entry + option.metavar]
    call    fail
.needless_value:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [needless_value]
    mov     rdx, argument
    mov     rcx, [entry + option.name]
    call    fail
.end:

%undef argv
%undef entry
%undef argument
%undef value
%undef length

;   void set_switches(void)
;   reads  the variables of the table
;   writes update_rule, decay_on, dropout_on, shuffle_on, init_scheme
;   clobbers rax
;
; What the layer map asks for, as whole numbers: a step has some ops only if these say so.
set_switches:
    xor     eax, eax
    cmp     dword [decay], 0
    setne   al
    mov     [decay_on], rax
    cmp     dword [dropout_rate], 0
    setne   al
    mov     [dropout_on], rax
    cmp     qword [no_shuffle], 0
    sete    al
    mov     [shuffle_on], rax

    mov     eax, RULE_MOMENTUM
    cmp     dword [momentum], 0
    jne     .rule
    mov     eax, RULE_SEPARATE
    cmp     qword [decay_on], 0                 ; decay needs a dW1 to be added to
    jne     .rule
    cmp     qword [no_fuse], 0
    jne     .rule
    mov     eax, RULE_FUSED
.rule:
    mov     [update_rule], rax

    cmp     qword [load_path], 0
    je      .done
    mov     qword [init_scheme], INIT_LOADED
.done:
    ret
.end:

;   const struct option *find_option(const char *name, size_t length)
;   rdi = name
;   rsi = length  of the name; the text may go on behind it
;   returns the line of the table in rax, or 0
;   clobbers what a call may
%define name        rbx
%define length      rbp
%define entry       r12

find_option:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    mov     name, rdi
    mov     length, rsi
    lea     entry, [table]
.loop:
    mov     rdi, [entry + option.name]
    call    strlen
    cmp     rax, length
    jne     .next
    mov     rdi, [entry + option.name]
    mov     rsi, name
    mov     rdx, length
    call    memcmp
    test    eax, eax
    jz      .done
.next:
    add     entry, option_size
    lea     rax, [table_end]
    cmp     entry, rax
    jb      .loop
    xor     entry, entry
.done:
    mov     rax, entry
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef name
%undef length
%undef entry

;   noreturn void print_help(void)
;   every option with its default on stdout, then exit code 0
%define entry       rbx

print_help:
    push    rbx                                 ; 8 + 8: calls are 16-byte aligned
    lea     rdi, [help_head]
    xor     eax, eax
    call    printf

    lea     entry, [table]
.loop:
    lea     rdi, [help_plain]
    mov     rsi, [entry + option.name]
    mov     rdx, [entry + option.metavar]
    mov     rcx, [entry + option.help]
    mov     r8, [entry + option.default]
    cmp     byte [r8], 0
    je      .print
    lea     rdi, [help_default]
.print:
    xor     eax, eax
    call    printf
    add     entry, option_size
    lea     rax, [table_end]
    cmp     entry, rax
    jb      .loop

    xor     edi, edi
    call    exit
.end:

%undef entry

    section .bss align=8

; VARIABLE name, bytes: what an option or set_switches sets
%macro VARIABLE 2
    global  %1:data (%1.end - %1)
%1:
    resb    %2
%1.end:
%endmacro

    VARIABLE data_directory, 8                 ; const char *
    VARIABLE train_limit,    8                 ; uint64
    VARIABLE test_limit,     8                 ; uint64
    VARIABLE epochs,         8                 ; uint64
    VARIABLE batch_size,     8                 ; uint64, 1..BATCH_MAX: rows of a full batch
    VARIABLE seed,           8                 ; uint64
    VARIABLE no_shuffle,     8                 ; 0 or 1
    VARIABLE isa,            8                 ; const char *
    VARIABLE no_fuse,        8                 ; 0 or 1
    VARIABLE load_path,      8                 ; const char *, 0 without one
    VARIABLE save_path,      8                 ; const char *, 0 without one
    VARIABLE metrics_path,   8                 ; const char *, 0 without one
    VARIABLE metrics_every,  8                 ; uint64
    VARIABLE init_scheme,    8                 ; int64, INIT_GLOROT, INIT_HE or INIT_LOADED

; ---- for the layer map

    VARIABLE update_rule,    8                 ; int64, RULE_FUSED, RULE_SEPARATE or RULE_MOMENTUM
    VARIABLE decay_on,       8                 ; int64, 0 or 1
    VARIABLE dropout_on,     8                 ; int64, 0 or 1
    VARIABLE shuffle_on,     8                 ; int64, 0 or 1

; ---- numbers

    VARIABLE learning_rate,  4                 ; float
    VARIABLE momentum,       4                 ; float, 0 <= momentum < 1
    VARIABLE decay,          4                 ; float
    VARIABLE dropout_rate,   4                 ; float, 0 <= rate < 1

    section .rodata align=8

init_names:     dq glorot_name, he_name, 0      ; in the order of INIT_GLOROT and INIT_HE

glorot_name:
    db  "glorot", 0
he_name:
    db  "he", 0
equals:
    db  "=", 0
unexpected:
    db  "unexpected argument '%s', wanted options only; see --help", 0
unknown:
    db  "unknown option '%s'; see --help", 0
no_value:
    db  "--%s needs a value, wanted %s; see --help", 0
needless_value:
    db  "'%s': this option takes no value; write --%s", 0
help_head:
    db  "Usage: mnist [OPTION]...", 10
    db  "Train a neural network that reads handwritten digits.", 10, 10, 0
help_plain:
    db  "  --%-13s %-9s %s", 10, 0
help_default:
    db  "  --%-13s %-9s %s (%s)", 10, 0

    section .note.GNU-stack noalloc noexec nowrite progbits
