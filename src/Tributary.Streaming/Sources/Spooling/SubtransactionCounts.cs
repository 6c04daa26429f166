using System.Runtime.InteropServices;

namespace Tributary.Streaming.Sources.Spooling;

/// <summary>How many changes of each kind each subtransaction has made, and which were undone. It costs far less than what the source keeps for each.</summary>
internal sealed class SubtransactionCounts(uint xid)
{
    readonly Dictionary<uint, Tally> _tallies = [];
    readonly HashSet<uint> _aborted = [];
    Tally _total;

    public ChangeCounts Total => new(_total.Inserts, _total.Updates, _total.Deletes, _total.Truncates, _total.Schemas);

    public void Add(ChangeKind kind, uint subXid)
    {
        _total.Add(kind);
        if (subXid != xid)
            CollectionsMarshal.GetValueRefOrAddDefault(_tallies, subXid, out _).Add(kind);
    }

    /// <summary>Answers whether the subtransaction had made any change.</summary>
    public bool Abort(uint subXid)
    {
        if (!_tallies.Remove(subXid, out var undone))
            return false;
        _aborted.Add(subXid);
        _total.Inserts -= undone.Inserts;
        _total.Updates -= undone.Updates;
        _total.Deletes -= undone.Deletes;
        _total.Truncates -= undone.Truncates;
        _total.Schemas -= undone.Schemas;
        return true;
    }

    public bool IsAborted(uint subXid) => _aborted.Contains(subXid);

    struct Tally
    {
        public long Inserts;
        public long Updates;
        public long Deletes;
        public long Truncates;
        public long Schemas;

        public void Add(ChangeKind kind)
        {
            switch (kind)
            {
                case ChangeKind.Insert:
                    Inserts++;
                    break;
                case ChangeKind.Update:
                    Updates++;
                    break;
                case ChangeKind.Delete:
                    Deletes++;
                    break;
                case ChangeKind.Truncate:
                    Truncates++;
                    break;
                default:
                    Schemas++;
                    break;
            }
        }
    }
}
