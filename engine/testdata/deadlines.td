# Deadlines: exact, announced, and never undone.

=== A key lives until its deadline and not at it
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 9ms
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":10,"expires_at_ms":1000010}
kv.list {}
= {"store_revision":1,"epoch":1000000,"entries":[{"key":"a","revision":1,"created_revision":1,"ttl_ms":10,"expires_at_ms":1000010}]}
batch.get {"keys":["a"]}
= {"store_revision":1,"epoch":1000000,"entries":[{"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":10,"expires_at_ms":1000010}]}
advance 1ms
kv.get {"key":"a"}
! {"store_revision":1,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
kv.list {}
= {"store_revision":1,"epoch":1000000,"entries":[]}
batch.get {"keys":["a"]}
= {"store_revision":1,"epoch":1000000,"entries":[]}

=== What a command finds past its deadline expires first, in the same commit
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
kv.set {"key":"a","value":"2","if_revision":0}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":2,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":3,"time_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000010,"value":"2"}

=== Each command finds it
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
kv.set {"key":"a","value":"2","return_previous":true}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":2,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":3,"time_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000010,"value":"2"}
kv.touch {"key":"a","ttl_ms":10}
= {"store_revision":3,"epoch":1000000,"revision":3,"expires_at_ms":1000020}
advance 10ms
kv.delete {"key":"a"}
= {"store_revision":4,"epoch":1000000,"revision":0,"deleted":false}
> {"revision":4,"epoch":1000000,"op":"expire","key":"a","previous_revision":3,"commit_revision":4,"time_ms":1000020}
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":true,"expires_at_ms":1000030}
> {"revision":5,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":5,"time_ms":1000020,"value":"1","ttl_ms":10,"expires_at_ms":1000030}
advance 10ms
kv.touch {"key":"a"}
! {"store_revision":6,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
> {"revision":6,"epoch":1000000,"op":"expire","key":"a","previous_revision":5,"commit_revision":6,"time_ms":1000030}
kv.increment {"key":"n","ttl_ms":10}
= {"store_revision":7,"epoch":1000000,"revision":7,"created":true,"value":1}
> {"revision":7,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":7,"time_ms":1000030,"value":"1","ttl_ms":10,"expires_at_ms":1000040}
advance 10ms
kv.increment {"key":"n"}
= {"store_revision":9,"epoch":1000000,"revision":9,"created":true,"value":1}
> {"revision":8,"epoch":1000000,"op":"expire","key":"n","previous_revision":7,"commit_revision":9,"time_ms":1000040}
> {"revision":9,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":9,"time_ms":1000040,"value":"1"}

=== It stands even if the command is refused
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
kv.set {"key":"a","value":"2","if_revision":1}
! {"store_revision":2,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 0, not 1","temporary":false,"key":"a","revision":0}
> {"revision":2,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000010}
kv.get {"key":"a"}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
kv.delete {"key":"a","if_revision":0}
= {"store_revision":2,"epoch":1000000,"revision":0,"deleted":false}
status
= keys=0 instances=0 revision=2 epoch=1000000 announced=0 outbox=2

=== A batch expires all that it names, in its conditions too, and covers it with its commit_revision
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"b","value":"1","ttl_ms":10}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000010}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"c","value":"1","ttl_ms":10}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true,"expires_at_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"c","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"2"},{"op":"kv.delete","key":"b"}],"if":[{"key":"c","revision":0}]}
= {"store_revision":7,"epoch":1000000,"revision":7,"results":[{"revision":7,"created":true},{"revision":0,"deleted":false}]}
> {"revision":4,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":7,"time_ms":1000010}
> {"revision":5,"epoch":1000000,"op":"expire","key":"b","previous_revision":2,"commit_revision":7,"time_ms":1000010}
> {"revision":6,"epoch":1000000,"op":"expire","key":"c","previous_revision":3,"commit_revision":7,"time_ms":1000010}
> {"revision":7,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":7,"time_ms":1000010,"value":"2"}
status
= keys=1 instances=0 revision=7 epoch=1000000 announced=0 outbox=7

=== A refused batch expires what it names all the same
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"b","value":"1","ttl_ms":10}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000010}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"2"},{"op":"kv.touch","key":"b"}]}
! {"store_revision":4,"epoch":1000000,"code":"not_found","message":"ops[1]: there is no key \"b\"","temporary":false,"field":"ops[1]","index":1,"key":"b"}
> {"revision":3,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":4,"time_ms":1000010}
> {"revision":4,"epoch":1000000,"op":"expire","key":"b","previous_revision":2,"commit_revision":4,"time_ms":1000010}
status
= keys=0 instances=0 revision=4 epoch=1000000 announced=0 outbox=4

=== A batch that names a dead key twice expires it once
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"2","if_revision":0},{"op":"kv.delete","key":"a","if_revision":0}]}
= {"store_revision":4,"epoch":1000000,"revision":4,"results":[{"revision":3,"created":true},{"revision":4,"deleted":true}]}
> {"revision":2,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":4,"time_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":4,"time_ms":1000010,"value":"2"}
> {"revision":4,"epoch":1000000,"op":"delete","key":"a","previous_revision":3,"commit_revision":4,"time_ms":1000010}

=== Instances expire as keys do
svc.register {"name":"web","id":"1","ttl_ms":10,"address":"10.0.0.1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000010,"revision":1,"created_revision":1}}
advance 9ms
svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000019}
advance 9ms
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000019,"revision":1,"created_revision":1}]}
advance 1ms
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[]}
svc.list {}
= {"store_revision":1,"epoch":1000000,"services":[]}
svc.heartbeat {"name":"web","id":"1"}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no instance \"1\" of \"web\"","temporary":false,"name":"web","id":"1"}
> {"revision":2,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000019,"instance":{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000019,"revision":1,"created_revision":1}}
svc.register {"name":"web","id":"1","ttl_ms":10,"address":"10.0.0.1"}
= {"store_revision":3,"epoch":1000000,"revision":3,"id":"1","created":true,"expires_at_ms":1000029}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":3,"time_ms":1000019,"instance":{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000029,"revision":3,"created_revision":3}}
advance 10ms
svc.register {"name":"web","id":"1","ttl_ms":10,"address":"10.0.0.1"}
= {"store_revision":5,"epoch":1000000,"revision":5,"id":"1","created":true,"expires_at_ms":1000039}
> {"revision":4,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":3,"commit_revision":5,"time_ms":1000029,"instance":{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000029,"revision":3,"created_revision":3}}
> {"revision":5,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":5,"time_ms":1000029,"instance":{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000039,"revision":5,"created_revision":5}}
advance 10ms
svc.deregister {"name":"web","id":"1"}
= {"store_revision":6,"epoch":1000000,"revision":0,"deregistered":false}
> {"revision":6,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":5,"commit_revision":6,"time_ms":1000039,"instance":{"name":"web","id":"1","address":"10.0.0.1","status":"passing","ttl_ms":10,"expires_at_ms":1000039,"revision":5,"created_revision":5}}

=== A service without ttl never expires
svc.register {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","revision":1,"created_revision":1}}
advance 100000h
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","revision":1,"created_revision":1}]}

=== A key keeps its deadline through a restart, an instance gets one ttl of grace
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
kv.set {"key":"b","value":"1","ttl_ms":40}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000040}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":40,"expires_at_ms":1000040}
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":3,"epoch":1000000,"revision":3,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":3,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":3,"created_revision":3}}
advance 90ms
reopen
kv.get {"key":"a"}
= {"store_revision":3,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":100,"expires_at_ms":1000100}
kv.get {"key":"b"}
! {"store_revision":3,"epoch":1000000,"code":"not_found","message":"there is no key \"b\"","temporary":false,"key":"b"}
svc.get {"name":"web"}
= {"store_revision":3,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000190,"revision":3,"created_revision":3}]}
advance 10ms
kv.get {"key":"a"}
! {"store_revision":3,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
advance 89ms
svc.get {"name":"web"}
= {"store_revision":3,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000190,"revision":3,"created_revision":3}]}
advance 1ms
svc.get {"name":"web"}
= {"store_revision":3,"epoch":1000000,"instances":[]}

=== The grace comes after each restart and is not shorter than the deadline
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
reopen
advance 60ms
reopen
advance 60ms
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000160,"revision":1,"created_revision":1}]}
advance 40ms
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[]}

=== What was gone before a restart does not come back
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000100}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
advance 100ms
svc.get {"name":"web"}
= {"store_revision":2,"epoch":1000000,"instances":[]}
reopen
svc.get {"name":"web"}
= {"store_revision":2,"epoch":1000000,"instances":[]}
kv.get {"key":"a"}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
svc.heartbeat {"name":"web","id":"1"}
! {"store_revision":3,"epoch":1000000,"code":"not_found","message":"there is no instance \"1\" of \"web\"","temporary":false,"name":"web","id":"1"}
> {"revision":3,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":1,"commit_revision":3,"time_ms":1000100,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}

=== What is due expires by itself, each with a commit of its own
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"b","value":"1","ttl_ms":20}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000020}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":20,"expires_at_ms":1000020}
kv.set {"key":"c","value":"1","ttl_ms":20}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true,"expires_at_ms":1000020}
> {"revision":3,"epoch":1000000,"op":"set","key":"c","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1","ttl_ms":20,"expires_at_ms":1000020}
svc.register {"name":"web","id":"1","ttl_ms":20}
= {"store_revision":4,"epoch":1000000,"revision":4,"id":"1","created":true,"expires_at_ms":1000020}
> {"revision":4,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":4,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":20,"expires_at_ms":1000020,"revision":4,"created_revision":4}}
sweep
advance 10ms
sweep
> {"revision":5,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":5,"time_ms":1000010}
status
= keys=2 instances=1 revision=5 epoch=1000000 announced=0 outbox=5
advance 10ms
sweep
> {"revision":6,"epoch":1000000,"op":"expire","key":"b","previous_revision":2,"commit_revision":6,"time_ms":1000020}
> {"revision":7,"epoch":1000000,"op":"expire","key":"c","previous_revision":3,"commit_revision":7,"time_ms":1000020}
> {"revision":8,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":4,"commit_revision":8,"time_ms":1000020,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":20,"expires_at_ms":1000020,"revision":4,"created_revision":4}}
sweep
status
= keys=0 instances=0 revision=8 epoch=1000000 announced=0 outbox=8

=== A deadline that moved is met where it moved to
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
kv.touch {"key":"a","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000010}
kv.set {"key":"b","value":"1","ttl_ms":10}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000010}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.touch {"key":"b","ttl_ms":100}
= {"store_revision":2,"epoch":1000000,"revision":2,"expires_at_ms":1000100}
kv.set {"key":"c","value":"1","ttl_ms":10}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true,"expires_at_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"c","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"c","value":"2"}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":false}
> {"revision":4,"epoch":1000000,"op":"set","key":"c","previous_revision":3,"commit_revision":4,"time_ms":1000000,"value":"2"}
kv.set {"key":"d","value":"1","ttl_ms":10}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":true,"expires_at_ms":1000010}
> {"revision":5,"epoch":1000000,"op":"set","key":"d","previous_revision":0,"commit_revision":5,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.delete {"key":"d"}
= {"store_revision":6,"epoch":1000000,"revision":6,"deleted":true}
> {"revision":6,"epoch":1000000,"op":"delete","key":"d","previous_revision":5,"commit_revision":6,"time_ms":1000000}
kv.set {"key":"d","value":"2","ttl_ms":20}
= {"store_revision":7,"epoch":1000000,"revision":7,"created":true,"expires_at_ms":1000020}
> {"revision":7,"epoch":1000000,"op":"set","key":"d","previous_revision":0,"commit_revision":7,"time_ms":1000000,"value":"2","ttl_ms":20,"expires_at_ms":1000020}
kv.set {"key":"e","value":"1","ttl_ms":10}
= {"store_revision":8,"epoch":1000000,"revision":8,"created":true,"expires_at_ms":1000010}
> {"revision":8,"epoch":1000000,"op":"set","key":"e","previous_revision":0,"commit_revision":8,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"e","value":"2","keep_ttl":true}
= {"store_revision":9,"epoch":1000000,"revision":9,"created":false,"expires_at_ms":1000010}
> {"revision":9,"epoch":1000000,"op":"set","key":"e","previous_revision":8,"commit_revision":9,"time_ms":1000000,"value":"2","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"f","value":"1","ttl_ms":10}
= {"store_revision":10,"epoch":1000000,"revision":10,"created":true,"expires_at_ms":1000010}
> {"revision":10,"epoch":1000000,"op":"set","key":"f","previous_revision":0,"commit_revision":10,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.touch {"key":"f","ttl_ms":0}
= {"store_revision":10,"epoch":1000000,"revision":10}
kv.touch {"key":"f","ttl_ms":30}
= {"store_revision":10,"epoch":1000000,"revision":10,"expires_at_ms":1000030}
advance 10ms
sweep
> {"revision":11,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":11,"time_ms":1000010}
> {"revision":12,"epoch":1000000,"op":"expire","key":"e","previous_revision":9,"commit_revision":12,"time_ms":1000010}
advance 10ms
sweep
> {"revision":13,"epoch":1000000,"op":"expire","key":"d","previous_revision":7,"commit_revision":13,"time_ms":1000020}
advance 10ms
sweep
> {"revision":14,"epoch":1000000,"op":"expire","key":"f","previous_revision":10,"commit_revision":14,"time_ms":1000030}
advance 70ms
sweep
> {"revision":15,"epoch":1000000,"op":"expire","key":"b","previous_revision":2,"commit_revision":15,"time_ms":1000100}
status
= keys=1 instances=0 revision=15 epoch=1000000 announced=0 outbox=15

=== A refused batch moves no deadline
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"b","value":"1"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1"}
batch.apply {"ops":[{"op":"kv.touch","key":"a","ttl_ms":100},{"op":"kv.set","key":"b","value":"2","ttl_ms":10},{"op":"kv.touch","key":"none"}]}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"ops[2]: there is no key \"none\"","temporary":false,"field":"ops[2]","index":2,"key":"none"}
advance 10ms
sweep
> {"revision":3,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":3,"time_ms":1000010}
status
= keys=1 instances=0 revision=3 epoch=1000000 announced=0 outbox=3

=== Heartbeats keep an instance
svc.register {"name":"web","id":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":10,"expires_at_ms":1000010,"revision":1,"created_revision":1}}
advance 5ms
svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000015}
advance 5ms
sweep
svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000020}
advance 1s
sweep
> {"revision":2,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1001010,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":10,"expires_at_ms":1000020,"revision":1,"created_revision":1}}
svc.heartbeat {"name":"web","id":"1"}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no instance \"1\" of \"web\"","temporary":false,"name":"web","id":"1"}

=== Heartbeats outlive a clean restart, and what is due after one expires
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
svc.register {"name":"web","id":"2","ttl_ms":100}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"2","created":true,"expires_at_ms":1000100}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"2","previous_revision":0,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"2","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":2,"created_revision":2}}
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true,"expires_at_ms":1000100}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
advance 90ms
svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":3,"epoch":1000000,"revision":1,"expires_at_ms":1000190}
advance 20ms
reopen
svc.get {"name":"web"}
= {"store_revision":3,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000210,"revision":1,"created_revision":1}]}
sweep
> {"revision":4,"epoch":1000000,"op":"expire","key":"a","previous_revision":3,"commit_revision":4,"time_ms":1000110}
> {"revision":5,"epoch":1000000,"op":"expire","name":"web","id":"2","previous_revision":2,"commit_revision":5,"time_ms":1000110,"instance":{"name":"web","id":"2","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":2,"created_revision":2}}
advance 99ms
sweep
advance 1ms
sweep
> {"revision":6,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":1,"commit_revision":6,"time_ms":1000210,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000210,"revision":1,"created_revision":1}}
status
= keys=0 instances=0 revision=6 epoch=1000000 announced=0 outbox=6

=== A grace is not lost by another restart
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
advance 90ms
reopen
advance 60ms
reopen
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000250,"revision":1,"created_revision":1}]}
advance 100ms
sweep
> {"revision":2,"epoch":1000000,"op":"expire","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000250,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000250,"revision":1,"created_revision":1}}
