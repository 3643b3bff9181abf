#pragma once

#include "ledger/receipt.h"
#include "ledger/test_service.h"

#include <gtest/gtest.h>

namespace concordat::ledger
{
/// A ledger of 40 transactions, some of them signatures.
class ReceiptOfOwnLedger : public testing::Test
{
protected:
  ReceiptOfOwnLedger()
  {
    service.create();
    service.sign();
    for (int batch = 1; batch <= 5; ++batch)
    {
      for (int i = 0; i < batch; ++i)
        service.write_something();
      signature = service.next().seqno;
      service.tree.flush(signature / 2);
      service.sign();
    }
  }

  Entry entry(Seqno seqno) const
  {
    return parse_entry(service.entry(seqno)).value();
  }
  Result<Receipt> make(Seqno seqno) const
  {
    return make_receipt(entry(seqno), entry(signature), service.secret);
  }

  TestService service;
  Seqno signature = 0; ///< the last one
};
}
