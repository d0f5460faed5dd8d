# Services: registering, renewing, and who is told.

=== Registering exactly what is registered renews and announces nothing
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["b","a","b"],"meta":{"zone":"x"},"ttl_ms":100,"note":"n"}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a","b"],"meta":{"zone":"x"},"status":"passing","note":"n","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
advance 50ms
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a","b"],"meta":{"zone":"x"},"ttl_ms":100,"note":"n","status":"passing"}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":false,"expires_at_ms":1000150}
svc.get {"name":"web"}
= {"store_revision":1,"epoch":1000000,"instances":[{"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a","b"],"meta":{"zone":"x"},"status":"passing","note":"n","ttl_ms":100,"expires_at_ms":1000150,"revision":1,"created_revision":1}]}
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"x"},"ttl_ms":100,"note":"n"}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"1","created":false,"expires_at_ms":1000150}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000050,"instance":{"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"x"},"status":"passing","note":"n","ttl_ms":100,"expires_at_ms":1000150,"revision":2,"created_revision":1}}
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"ttl_ms":100,"note":"n"}
= {"store_revision":3,"epoch":1000000,"revision":3,"id":"1","created":false,"expires_at_ms":1000150}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":2,"commit_revision":3,"time_ms":1000050,"instance":{"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"status":"passing","note":"n","ttl_ms":100,"expires_at_ms":1000150,"revision":3,"created_revision":1}}
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"ttl_ms":200,"note":"n"}
= {"store_revision":4,"epoch":1000000,"revision":4,"id":"1","created":false,"expires_at_ms":1000250}
> {"revision":4,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":3,"commit_revision":4,"time_ms":1000050,"instance":{"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"status":"passing","note":"n","ttl_ms":200,"expires_at_ms":1000250,"revision":4,"created_revision":1}}
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"note":"n"}
= {"store_revision":5,"epoch":1000000,"revision":5,"id":"1","created":false}
> {"revision":5,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":4,"commit_revision":5,"time_ms":1000050,"instance":{"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"status":"passing","note":"n","revision":5,"created_revision":1}}
svc.register {"name":"web","id":"1","address":"10.0.0.1","port":80,"tags":["a"],"meta":{"zone":"y"},"note":"n"}
= {"store_revision":5,"epoch":1000000,"revision":5,"id":"1","created":false}

=== The id defaults to address and port
svc.register {"name":"web","address":"10.0.0.1","port":80}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"10.0.0.1:80","created":true}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"10.0.0.1:80","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"10.0.0.1:80","address":"10.0.0.1","port":80,"status":"passing","revision":1,"created_revision":1}}
svc.register {"name":"web","address":"fe80::1","port":80}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"[fe80::1]:80","created":true}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"[fe80::1]:80","previous_revision":0,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"[fe80::1]:80","address":"fe80::1","port":80,"status":"passing","revision":2,"created_revision":2}}
svc.register {"name":"web","address":"10.0.0.1"}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"id: is required without both address and port","temporary":false,"field":"id"}
svc.register {"name":"web","port":80}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"id: is required without both address and port","temporary":false,"field":"id"}

=== A heartbeat renews, and announces a new status or note
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
advance 50ms
svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000150}
svc.heartbeat {"name":"web","id":"1","status":"passing"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000150}
svc.heartbeat {"name":"web","id":"1","status":"critical"}
= {"store_revision":2,"epoch":1000000,"revision":2,"expires_at_ms":1000150}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000050,"instance":{"name":"web","id":"1","status":"critical","ttl_ms":100,"expires_at_ms":1000150,"revision":2,"created_revision":1}}
svc.heartbeat {"name":"web","id":"1","note":"slow"}
= {"store_revision":3,"epoch":1000000,"revision":3,"expires_at_ms":1000150}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":2,"commit_revision":3,"time_ms":1000050,"instance":{"name":"web","id":"1","status":"critical","note":"slow","ttl_ms":100,"expires_at_ms":1000150,"revision":3,"created_revision":1}}
svc.heartbeat {"name":"web","id":"1","status":"critical","note":"slow"}
= {"store_revision":3,"epoch":1000000,"revision":3,"expires_at_ms":1000150}
svc.heartbeat {"name":"web","id":"1","note":""}
= {"store_revision":4,"epoch":1000000,"revision":4,"expires_at_ms":1000150}
> {"revision":4,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":3,"commit_revision":4,"time_ms":1000050,"instance":{"name":"web","id":"1","status":"critical","ttl_ms":100,"expires_at_ms":1000150,"revision":4,"created_revision":1}}
svc.get {"name":"web"}
= {"store_revision":4,"epoch":1000000,"instances":[]}
svc.get {"name":"web","statuses":["critical"]}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"critical","ttl_ms":100,"expires_at_ms":1000150,"revision":4,"created_revision":1}]}
svc.heartbeat {"name":"web","id":"2"}
! {"store_revision":4,"epoch":1000000,"code":"not_found","message":"there is no instance \"2\" of \"web\"","temporary":false,"name":"web","id":"2"}
svc.heartbeat {"name":"web","id":"2","if_revision":3}
! {"store_revision":4,"epoch":1000000,"code":"conflict","message":"instance \"2\" of \"web\" has revision 0, not 3","temporary":false,"name":"web","id":"2","revision":0}
svc.heartbeat {"name":"web","id":"1","if_revision":1}
! {"store_revision":4,"epoch":1000000,"code":"conflict","message":"instance \"1\" of \"web\" has revision 4, not 1","temporary":false,"name":"web","id":"1","revision":4}
svc.heartbeat {"name":"web","id":"1","if_revision":4}
= {"store_revision":4,"epoch":1000000,"revision":4,"expires_at_ms":1000150}

=== A conditional register creates or replaces
svc.register {"name":"web","id":"1","if_revision":0}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","revision":1,"created_revision":1}}
svc.register {"name":"web","id":"1","if_revision":0}
! {"store_revision":1,"epoch":1000000,"code":"conflict","message":"instance \"1\" of \"web\" has revision 1, not 0","temporary":false,"name":"web","id":"1","revision":1}
svc.register {"name":"web","id":"1","if_revision":1,"note":"n"}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"1","created":false}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","note":"n","revision":2,"created_revision":1}}
svc.deregister {"name":"web","id":"1","if_revision":1}
! {"store_revision":2,"epoch":1000000,"code":"conflict","message":"instance \"1\" of \"web\" has revision 2, not 1","temporary":false,"name":"web","id":"1","revision":2}
svc.deregister {"name":"web","id":"1","if_revision":2}
= {"store_revision":3,"epoch":1000000,"revision":3,"deregistered":true}
> {"revision":3,"epoch":1000000,"op":"deregister","name":"web","id":"1","previous_revision":2,"commit_revision":3,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","note":"n","revision":2,"created_revision":1}}

=== Deregistering what is not there succeeds and announces nothing
svc.deregister {"name":"web","id":"1"}
= {"store_revision":0,"epoch":1000000,"revision":0,"deregistered":false}
svc.register {"name":"web","id":"1","tags":["a"],"ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","tags":["a"],"status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
svc.deregister {"name":"web","id":"1"}
= {"store_revision":2,"epoch":1000000,"revision":2,"deregistered":true}
> {"revision":2,"epoch":1000000,"op":"deregister","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"1","tags":["a"],"status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
svc.deregister {"name":"web","id":"1"}
= {"store_revision":2,"epoch":1000000,"revision":0,"deregistered":false}
status
= keys=0 instances=0 revision=2 epoch=1000000 announced=0 outbox=2

=== An unknown name has no instances
svc.get {"name":"web"}
= {"store_revision":0,"epoch":1000000,"instances":[]}
svc.list {}
= {"store_revision":0,"epoch":1000000,"services":[]}

=== Instances are filtered by id, tags, meta and status
svc.register {"name":"web","id":"1","tags":["a","b"],"meta":{"zone":"x","rack":"1"}}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","tags":["a","b"],"meta":{"rack":"1","zone":"x"},"status":"passing","revision":1,"created_revision":1}}
svc.register {"name":"web","id":"2","tags":["a"],"meta":{"zone":"y"},"status":"warning"}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"2","created":true}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"2","previous_revision":0,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"2","tags":["a"],"meta":{"zone":"y"},"status":"warning","revision":2,"created_revision":2}}
svc.register {"name":"web","id":"3","status":"critical"}
= {"store_revision":3,"epoch":1000000,"revision":3,"id":"3","created":true}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"3","previous_revision":0,"commit_revision":3,"time_ms":1000000,"instance":{"name":"web","id":"3","status":"critical","revision":3,"created_revision":3}}
svc.register {"name":"web-2","id":"1","tags":["c"]}
= {"store_revision":4,"epoch":1000000,"revision":4,"id":"1","created":true}
> {"revision":4,"epoch":1000000,"op":"register","name":"web-2","id":"1","previous_revision":0,"commit_revision":4,"time_ms":1000000,"instance":{"name":"web-2","id":"1","tags":["c"],"status":"passing","revision":4,"created_revision":4}}
svc.get {"name":"web"}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"1","tags":["a","b"],"meta":{"rack":"1","zone":"x"},"status":"passing","revision":1,"created_revision":1},{"name":"web","id":"2","tags":["a"],"meta":{"zone":"y"},"status":"warning","revision":2,"created_revision":2}]}
svc.get {"name":"web","id":"2"}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"2","tags":["a"],"meta":{"zone":"y"},"status":"warning","revision":2,"created_revision":2}]}
svc.get {"name":"web","id":"3"}
= {"store_revision":4,"epoch":1000000,"instances":[]}
svc.get {"name":"web","tags":["a"],"limit":1}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"1","tags":["a","b"],"meta":{"rack":"1","zone":"x"},"status":"passing","revision":1,"created_revision":1}],"next":"hKFlzgAPQkChcgShZs_jgOhQgsRVgKFhoTE"}
svc.get {"name":"web","tags":["b","a"]}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"1","tags":["a","b"],"meta":{"rack":"1","zone":"x"},"status":"passing","revision":1,"created_revision":1}]}
svc.get {"name":"web","tags":["a","c"]}
= {"store_revision":4,"epoch":1000000,"instances":[]}
svc.get {"name":"web","meta":{"zone":"y"}}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"2","tags":["a"],"meta":{"zone":"y"},"status":"warning","revision":2,"created_revision":2}]}
svc.get {"name":"web","meta":{"zone":"x","rack":"2"}}
= {"store_revision":4,"epoch":1000000,"instances":[]}
svc.get {"name":"web","meta":{"none":""}}
= {"store_revision":4,"epoch":1000000,"instances":[]}
svc.get {"name":"web","statuses":["critical","passing"]}
= {"store_revision":4,"epoch":1000000,"instances":[{"name":"web","id":"1","tags":["a","b"],"meta":{"rack":"1","zone":"x"},"status":"passing","revision":1,"created_revision":1},{"name":"web","id":"3","status":"critical","revision":3,"created_revision":3}]}
svc.list {}
= {"store_revision":4,"epoch":1000000,"services":[{"name":"web","count":3,"tags":["a","b"]},{"name":"web-2","count":1,"tags":["c"]}]}
svc.list {"prefix":"web-"}
= {"store_revision":4,"epoch":1000000,"services":[{"name":"web-2","count":1,"tags":["c"]}]}
svc.list {"prefix":"x"}
= {"store_revision":4,"epoch":1000000,"services":[]}

=== Names sort by their bytes and one is not part of another
svc.register {"name":"a","id":"2"}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"2","created":true}
> {"revision":1,"epoch":1000000,"op":"register","name":"a","id":"2","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"a","id":"2","status":"passing","revision":1,"created_revision":1}}
svc.register {"name":"a b","id":"1"}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"1","created":true}
> {"revision":2,"epoch":1000000,"op":"register","name":"a b","id":"1","previous_revision":0,"commit_revision":2,"time_ms":1000000,"instance":{"name":"a b","id":"1","status":"passing","revision":2,"created_revision":2}}
svc.register {"name":"a!","id":"1"}
= {"store_revision":3,"epoch":1000000,"revision":3,"id":"1","created":true}
> {"revision":3,"epoch":1000000,"op":"register","name":"a!","id":"1","previous_revision":0,"commit_revision":3,"time_ms":1000000,"instance":{"name":"a!","id":"1","status":"passing","revision":3,"created_revision":3}}
svc.register {"name":"aé","id":"1"}
= {"store_revision":4,"epoch":1000000,"revision":4,"id":"1","created":true}
> {"revision":4,"epoch":1000000,"op":"register","name":"aé","id":"1","previous_revision":0,"commit_revision":4,"time_ms":1000000,"instance":{"name":"aé","id":"1","status":"passing","revision":4,"created_revision":4}}
svc.register {"name":"a","id":"1"}
= {"store_revision":5,"epoch":1000000,"revision":5,"id":"1","created":true}
> {"revision":5,"epoch":1000000,"op":"register","name":"a","id":"1","previous_revision":0,"commit_revision":5,"time_ms":1000000,"instance":{"name":"a","id":"1","status":"passing","revision":5,"created_revision":5}}
svc.list {}
= {"store_revision":5,"epoch":1000000,"services":[{"name":"a","count":2},{"name":"a b","count":1},{"name":"a!","count":1},{"name":"aé","count":1}]}
svc.list {"limit":2}
= {"store_revision":5,"epoch":1000000,"services":[{"name":"a","count":2},{"name":"a b","count":1}],"next":"hKFlzgAPQkChcgWhZs-8mJ5ENDUmsaFho2EgYg"}
svc.get {"name":"a"}
= {"store_revision":5,"epoch":1000000,"instances":[{"name":"a","id":"1","status":"passing","revision":5,"created_revision":5},{"name":"a","id":"2","status":"passing","revision":1,"created_revision":1}]}
