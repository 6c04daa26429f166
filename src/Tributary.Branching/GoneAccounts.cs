using System.Text.Json;
using Tributary.Branching.Catalog;

namespace Tributary.Branching;

/// <summary>
/// What branches that are no more have used, an owner each: agents make and delete theirs within seconds, and what they cost is asked for later.
/// A crash between a branch's end and its entry here forgets that branch. Safe for use from several threads.
/// </summary>
internal sealed class GoneAccounts(BranchCatalog catalog)
{
    const string Fact = "accounts";

    /// <summary>Owners that are told apart; the rest is one account, so that a name of its own for each agent does not fill the catalog.</summary>
    const int OwnersMax = 1000;

    const string Rest = "(others)";

    readonly Lock _lock = new();
    Dictionary<string, GoneAccount>? _accounts;

    /// <summary>By owner; the empty name stands for none.</summary>
    public IReadOnlyDictionary<string, GoneAccount> All
    {
        get
        {
            lock (_lock)
                return new Dictionary<string, GoneAccount>(Read());
        }
    }

    public void Add(Branch branch)
    {
        lock (_lock)
        {
            var accounts = Read();
            var owner = branch.Policy.Owner ?? "";
            if (!accounts.ContainsKey(owner) && accounts.Count >= OwnersMax)
                owner = Rest;
            accounts[owner] = accounts.GetValueOrDefault(owner, GoneAccount.None).With(branch);
            catalog.SetFact(Fact, JsonSerializer.Serialize(accounts, RowJson.Default.DictionaryStringGoneAccount));
        }
    }

    // Called under the lock.
    Dictionary<string, GoneAccount> Read()
    {
        try
        {
            return _accounts ??= catalog.Fact(Fact) is { } text ? JsonSerializer.Deserialize(text, RowJson.Default.DictionaryStringGoneAccount) ?? [] : [];
        }
        catch (JsonException)
        {
            // They are figures for people, and keep nobody from his branches.
            return _accounts = [];
        }
    }
}

/// <summary>What an owner's branches that are no more have used.</summary>
/// <param name="Branches">How many there were.</param>
/// <param name="RunSeconds">How long their servers ran.</param>
/// <param name="CpuSeconds">Processor time of their servers.</param>
/// <param name="Connections">Client connections through the gateway.</param>
public sealed record GoneAccount(int Branches, double RunSeconds, double CpuSeconds, long Connections)
{
    public static GoneAccount None { get; } = new(0, 0, 0, 0);

    internal GoneAccount With(Branch branch) => new(
        Branches + 1, RunSeconds + branch.Usage.RunTime.TotalSeconds, CpuSeconds + branch.Usage.CpuTime.TotalSeconds, Connections + branch.Usage.Connections);
}
