#include "base/component.h"
#include "base/log.h"
#include "device/block_device.h"
#include "device/console.h"
#include "device/fuse_transport.h"
#include "base/vector.h"
#include "random/random.h"
#include "sched/wait_queue.h"
#include "sched/clock.h"
#include <algorithm>
using namespace eremite;
namespace {
Result<> run(){
  ER_NEEDS(virtio_rng); ER_NEEDS(virtio_console);
  set_log_level(LogLevel::Debug);
  log_info("seeded {}", random_is_seeded());
  BlockDevice* d=find_block_device("vda");
  if(d){
   log_info("vda {} sectors block {} ro {}", d->sector_count(), d->block_size(), d->is_read_only());
   Vector<u8> v; TRY(v.try_resize(65536));
   for(usize i=0;i<v.size();i++) v[i]=u8(i*7+i/256);
   log_info("write {}", d->write(3, v.span()).is_error());
   log_info("flush {}", d->flush().is_error());
   Vector<u8> w; TRY(w.try_resize(65536));
   log_info("read {}", d->read(3, w.span()).is_error());
   log_info("same {}", std::ranges::equal(v.span(), w.span()));
   log_info("beyond {}", d->read(d->sector_count(), w.span()).error());
   log_info("discard {}", d->discard(8, 8).is_error());
  }
  if(auto* t=find_fuse_transport("share0")){
    // FUSE_INIT
    Vector<u8> in; TRY(in.try_resize(40+64)); Vector<u8> out; TRY(out.try_resize(16+64));
    u32 h[14]={56+0,26,1,0,0,0,0,0,0,0, 7,31,65536,0};
    std::ranges::copy(std::span(reinterpret_cast<u8*>(h),56), in.begin());
    const std::span<const u8> q[]={in.span().first(40),in.span().subspan(40,16)}; std::span<u8> r[]={out.span()};
    auto n=t->exchange(q,r);
    log_info("fuse {} len {} major {}", n.is_error(), n.is_error()?0:n.value(), u32(out[16]));
  }
  TRY(sleep_until(monotonic_now()+Nanoseconds::from_milliseconds(100)));
  return {};
}
}
ER_COMPONENT(selftest2, Stage::Late, run);
