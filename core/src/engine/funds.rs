//! Transfers, withdrawals and deposits.
//!
//! The exchange does not hold the tokens themselves. The issuer of a token holds them outside,
//! signs a deposit when it received some, and pays what was withdrawn. The supply of a token is
//! what the issuer owes.

use alloc::string::ToString;

use super::engine::Engine;
use super::failure::Failure;
use crate::protocol::{Event, Reject};
use crate::rules::Rules;
use crate::state::{LeafKey, Withdrawal};
use crate::types::limits::SUPPLY_MAX;
use crate::types::{AccountIndex, Atoms, Corrupt, Decimal, PublicKey, TokenIndex};

impl Engine {
    /// Reject 40: the available balance must cover the amount.
    fn check_available(
        &self,
        rules: &Rules,
        account: AccountIndex,
        token: TokenIndex,
        amount: Atoms,
    ) -> Result<(), Failure> {
        let available = self.ledger.account(account)?.balance(token).available;
        if available < amount {
            return Err(rules.listing.balance_too_low(token, amount, available).into());
        }
        Ok(())
    }

    pub(crate) fn transfer(
        &mut self,
        rules: &Rules,
        from: AccountIndex,
        token: &str,
        to: &PublicKey,
        amount: Decimal,
    ) -> Result<(), Failure> {
        let (token, _, amount) = rules.listing.amount(token, amount)?;
        let sender = self.key(from)?;
        if sender == *to {
            return Err(Reject::TransferToSelf.into());
        }
        self.check_available(rules, from, token, amount)?;
        // Added only when nothing can reject the transfer any more. Its balance cannot overflow:
        // the balances of a token add up to its supply (I1).
        let receiver = self.ledger.intern(to)?;
        self.ledger.debit(from, token, amount)?;
        self.ledger.credit(receiver, token, amount)?;
        self.touch_balance(from, token);
        self.touch_balance(receiver, token);
        self.note(Event::Transferred { from: sender, to: *to, token, amount });
        Ok(())
    }

    pub(crate) fn withdraw(
        &mut self,
        rules: &Rules,
        from: AccountIndex,
        token: &str,
        amount: Decimal,
        destination: &str,
    ) -> Result<(), Failure> {
        let (token, _, amount) = rules.listing.amount(token, amount)?;
        self.check_available(rules, from, token, amount)?;
        let number = self.counters.withdrawal.checked_add(1);
        let number = number.ok_or(Corrupt("withdrawal numbers ran out"))?;
        // The supply covers every balance (I1), and the balance was just checked. So this failure
        // is a bug and not a reject.
        let supply = self.ledger.supply(token).checked_sub(amount);
        let supply = supply.ok_or(Corrupt("a withdrawal exceeds the supply of its token"))?;
        self.counters.withdrawal = number;
        self.ledger.debit(from, token, amount)?;
        self.ledger.set_supply(token, supply)?;
        let account = self.key(from)?;
        let destination = destination.to_string();
        // The record stays for ever: the issuer pays by it, and anyone can prove it.
        self.withdrawals.push(Withdrawal {
            account,
            token,
            amount,
            destination: destination.clone(),
        });
        self.touch_balance(from, token);
        self.touch(LeafKey::Supply(token));
        self.touch(LeafKey::Withdrawal(number));
        self.note(Event::Withdrawn { withdrawal: number, account, token, amount, destination });
        Ok(())
    }

    pub(crate) fn deposit(
        &mut self,
        rules: &Rules,
        signer: AccountIndex,
        token: &str,
        to: &PublicKey,
        amount: Decimal,
        reference: &str,
    ) -> Result<(), Failure> {
        let (index, spec, atoms) = rules.listing.amount(token, amount)?;
        // Checked before the issuer, because code 16 comes before 20 (section 8 of the protocol).
        let existing = self.ledger.supply(index);
        let supply = existing
            .checked_add(atoms)
            .filter(|supply| supply.0 <= SUPPLY_MAX)
            .ok_or_else(|| {
                let largest = SUPPLY_MAX.saturating_sub(existing.0);
                rules.listing.amount_too_large(index, amount.to_string(), largest)
            })?;
        let issuer = rules.issuer(index).ok_or(Corrupt("a listed token has no issuer"))?;
        if self.key(signer)? != issuer {
            let token = spec.symbol.clone();
            return Err(Reject::NotIssuer { token, issuer }.into());
        }
        // The last check and the first change in one step: if the reference is there already,
        // nothing is changed (I11). It makes a deposit count once even if the issuer signs it again
        // with another nonce.
        if !self.references.insert((index, reference.into())) {
            let (token, reference) = (spec.symbol.clone(), reference.into());
            return Err(Reject::ReferenceUsed { token, reference }.into());
        }
        let receiver = self.ledger.intern(to)?;
        self.ledger.credit(receiver, index, atoms)?;
        self.ledger.set_supply(index, supply)?;
        self.touch_balance(receiver, index);
        self.touch(LeafKey::Reference(index, reference.into()));
        self.touch(LeafKey::Supply(index));
        self.note(Event::Deposited {
            account: *to,
            token: index,
            amount: atoms,
            reference: reference.into(),
        });
        Ok(())
    }
}
