;; A router that misbehaves on demand: the dimensions of the words' head say how
;; loading a model goes, the limit of a ranking how that goes.
(module
  (import "[export]kgents:router/routing@0.1.0" "[resource-new]model"
    (func $new (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $marked (mut i32) (i32.const 0))
  (global $free (mut i32) (i32.const 1024))
  (data (i32.const 64) "`words.biases` is wrong")

  ;; Gives what is free, and takes nothing back.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $here i32)
    (local.set $here (global.get $free))
    (global.set $free
      (i32.and
        (i32.add (i32.add (local.get $here) (local.get 3)) (i32.const 15))
        (i32.const -16)))
    (local.get $here))

  (func $forever (loop $again (br $again)))

  (func $storm (loop $again (drop (memory.grow (i32.const 16))) (br $again)))

  (func (export "kgents:router/routing@0.1.0#decide") (param i32) (result i32)
    (unreachable))

  ;; The tables, behind a pointer; their ninth byte begins the dimensions.
  (func (export "kgents:router/routing@0.1.0#[static]model.load")
    (param i32) (result i32)
    (local $how i32)
    (local.set $how (i32.load offset=8 (local.get 0)))
    (if (i32.eq (local.get $how) (i32.const 2)) (then (unreachable)))
    (if (i32.eq (local.get $how) (i32.const 3)) (then (call $forever)))
    (if (i32.eq (local.get $how) (i32.const 4)) (then (call $storm)))
    (if (i32.eq (local.get $how) (i32.const 1))
      (then
        (i32.store8 (i32.const 32) (i32.const 1))
        (i32.store (i32.const 36) (i32.const 64))
        (i32.store (i32.const 40) (i32.const 23)))
      (else
        (i32.store8 (i32.const 32) (i32.const 0))
        (i32.store (i32.const 36) (call $new (i32.const 7)))))
    (i32.const 32))

  ;; self, words, plain, sentence (tag, pointer, length), limit. Nobody; with a
  ;; limit of 1 it traps, and would do so ever after.
  (func (export "kgents:router/routing@0.1.0#[method]model.rank")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (global.get $marked) (then (unreachable)))
    (if (i32.eq (local.get 8) (i32.const 1))
      (then (global.set $marked (i32.const 1)) (unreachable)))
    (if (i32.eq (local.get 8) (i32.const 2)) (then (call $forever)))
    (i32.store (i32.const 32) (i32.const 0))
    (i32.store (i32.const 36) (i32.const 0))
    (i32.const 32))

  ;; self, vectors, among. Nothing.
  (func (export "kgents:router/routing@0.1.0#[method]model.judge")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 32) (i32.const 0))
    (i32.const 32)))
