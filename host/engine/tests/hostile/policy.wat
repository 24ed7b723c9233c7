;; A policy decider that misbehaves on demand: the number of sources says how
;; loading goes, the number of queries how an evaluation goes.
(module
  (import "[export]kgents:policy/authorization@0.1.0" "[resource-new]policy-set"
    (func $new (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $marked (mut i32) (i32.const 0))
  (data (i32.const 64) "the-only")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))

  (func $forever (loop $again (br $again)))

  (func $storm (loop $again (drop (memory.grow (i32.const 16))) (br $again)))

  ;; sources (pointer, length)
  (func (export "kgents:policy/authorization@0.1.0#[static]policy-set.load")
    (param i32 i32) (result i32)
    (if (i32.eq (local.get 1) (i32.const 2)) (then (unreachable)))
    (if (i32.eq (local.get 1) (i32.const 3)) (then (call $forever)))
    (if (i32.eq (local.get 1) (i32.const 4)) (then (call $storm)))
    ;; 1: refused, without saying why.
    (if (i32.eq (local.get 1) (i32.const 1))
      (then
        (i32.store8 (i32.const 32) (i32.const 1))
        (i32.store (i32.const 36) (i32.const 0))
        (i32.store (i32.const 40) (i32.const 0)))
      (else
        (i32.store8 (i32.const 32) (i32.const 0))
        (i32.store (i32.const 36) (call $new (i32.const 7)))))
    (i32.const 32))

  ;; One id.
  (func (export "kgents:policy/authorization@0.1.0#[method]policy-set.ids")
    (param i32) (result i32)
    (i32.store (i32.const 48) (i32.const 64))
    (i32.store (i32.const 52) (i32.const 8))
    (i32.store (i32.const 32) (i32.const 48))
    (i32.store (i32.const 36) (i32.const 1))
    (i32.const 32))

  ;; self, kind, id, groups, attributes, queries (pointer, length)
  (func (export "kgents:policy/authorization@0.1.0#[method]policy-set.evaluate")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (global.get $marked) (then (unreachable)))
    (if (i32.eq (local.get 9) (i32.const 1))
      (then (global.set $marked (i32.const 1)) (unreachable)))
    (i32.store (i32.const 32) (i32.const 0))
    (i32.store (i32.const 36) (i32.const 0))
    (i32.const 32))

  (func (export "kgents:policy/authorization@0.1.0#schema") (result i32)
    (i32.store (i32.const 32) (i32.const 64))
    (i32.store (i32.const 36) (i32.const 8))
    (i32.const 32)))
