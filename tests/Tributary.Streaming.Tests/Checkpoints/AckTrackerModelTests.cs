using Tributary.Postgres;
using Tributary.Streaming.Checkpoints;

namespace Tributary.Streaming.Tests.Checkpoints;

/// <summary>
/// A small model of the pipeline's three loops around the real tracker, in every order in which their steps can fall. The reader hears positions
/// and enters transactions, the beat turns a position that it heard into a saved one while nothing is in flight, the writer makes a part of the
/// queue durable and says so. States that were met before are not gone through again, so the search ends.
/// </summary>
public sealed class AckTrackerModelTests
{
    // A transaction may begin before an earlier one's commit; keep-alives come between; a message of the heartbeat comes back at the end.
    static readonly Step[] Script =
    [
        new(Kind.KeepAlive, 11), new(Kind.Enter, 12, 1), new(Kind.Receive, 20, 1), new(Kind.KeepAlive, 25),
        new(Kind.Enter, 15, 2), new(Kind.Receive, 30, 2), new(Kind.Enter, 28, 3), new(Kind.Receive, 31, 3), new(Kind.KeepAlive, 31), new(Kind.KeepAlive, 40),
        new(Kind.Enter, 35, 4), new(Kind.Receive, 45, 4), new(Kind.Reached, 50), new(Kind.KeepAlive, 55),
    ];

    // One comes in parts while it is open, and one of those is undone; the commit's position is heard with the commit itself.
    static readonly Step[] OpenScript =
    [
        new(Kind.KeepAlive, 11), new(Kind.Enter, 12, 1), new(Kind.Enter, 12, 2), new(Kind.Enter, 13, 3), new(Kind.Receive, 20, 3), new(Kind.KeepAlive, 25),
        new(Kind.Leave, 25, 2), new(Kind.Receive, 30, 1), new(Kind.KeepAlive, 31), new(Kind.Enter, 28, 4), new(Kind.Receive, 33, 4), new(Kind.KeepAlive, 40),
        new(Kind.Reached, 50), new(Kind.KeepAlive, 55),
    ];

    public static TheoryData<string> Scripts => ["whole", "open"];

    static Step[] Named(string name) => name == "whole" ? Script : OpenScript;

    [Theory]
    [MemberData(nameof(Scripts))]
    public void No_order_of_the_loops_steps_confirms_what_is_not_durable(string script)
    {
        var (states, broken) = Explore(Named(script), hearsBeforeItAsks: true);

        Assert.Null(broken);
        Assert.True(states > 1000, $"{states} states are too few to be all");
    }

    [Theory]
    [MemberData(nameof(Scripts))]
    public void The_search_finds_a_beat_that_hears_after_it_asks(string script) => Assert.NotNull(Explore(Named(script), hearsBeforeItAsks: false).Broken);

    static (int States, string? Broken) Explore(Step[] script, bool hearsBeforeItAsks)
    {
        var seen = new HashSet<string>();
        var open = new Stack<string>([""]);
        while (open.TryPop(out var path))
        {
            var run = new Run(script, hearsBeforeItAsks);
            foreach (var choice in path)
                run.Do(choice);
            if (run.Broken is not null)
                return (seen.Count, $"{run.Broken} after {path}");
            if (!seen.Add(run.Key()))
                continue;
            var choices = run.Choices();
            if (choices.Length == 0 && run.Confirmed != script[^1].Position)
                return (seen.Count, $"{run.Confirmed} is confirmed at the end of {path}");
            foreach (var choice in choices)
                open.Push(path + choice);
        }

        return (seen.Count, null);
    }

    enum Kind
    {
        KeepAlive,
        Enter,
        Receive,
        Leave,
        Reached,
    }

    /// <param name="Position">As the message's header tells it; for a commit also its end.</param>
    readonly record struct Step(Kind Kind, ulong Position, uint Xid = 0);

    /// <summary>One order of steps, from the start. The tracker is the real one; all else is a model.</summary>
    sealed class Run
    {
        readonly Step[] _script;
        readonly bool _hearsBeforeItAsks;
        readonly AckTracker _tracker;
        readonly List<(ulong Position, bool IsTransaction)> _queue = [];
        readonly List<ulong> _committed = [];
        ulong _last = 10;
        ulong _durable = 10;
        ulong _heard = 10;
        ulong _beatHeard;
        ulong? _saved;
        int _read;
        bool _handled = true;
        int _beat;

        public Run(Step[] script, bool hearsBeforeItAsks)
        {
            _script = script;
            _hearsBeforeItAsks = hearsBeforeItAsks;
            _tracker = new AckTracker(new Lsn(10), Confirm);
            _committed.AddRange(_script.Where(step => step.Kind == Kind.Receive).Select(step => step.Position));
        }

        public string? Broken { get; private set; }

        public ulong Confirmed => _tracker.Confirmed.Value;

        public string Key() => $"{_read} {_handled} {_heard} {_beat} {_beatHeard} {_saved} {_durable} {Confirmed} {_tracker.IsIdle()} {string.Join(',', _queue)}";

        // r: the reader's next step. b: the beat's. 1 to 9: the writer makes so many items of the queue durable. d: it says so.
        public string Choices()
        {
            var choices = _handled && _read == _script.Length ? "" : "r";
            if (_beat > 0 || Worthwhile())
                choices += "b";
            if (_saved is not null)
                return choices + "d";
            for (var take = 1; take <= Math.Min(_queue.Count, 9); take++)
                choices += (char)('0' + take);
            return choices;
        }

        public void Do(char choice)
        {
            switch (choice)
            {
                case 'r':
                    Read();
                    break;
                case 'b':
                    Beat();
                    break;
                case 'd':
                    _tracker.Durable(new Lsn(_saved!.Value));
                    _saved = null;
                    break;
                default:
                    var taken = _queue.Take(choice - '0').ToList();
                    _queue.RemoveRange(0, taken.Count);
                    _saved = taken.Max(item => item.Position);
                    _durable = Math.Max(_durable, taken.Where(item => item.IsTransaction).Select(item => item.Position).DefaultIfEmpty().Max());
                    break;
            }
        }

        // Without this the beat would go on for ever; with it, the search ends when there is nothing left to confirm.
        bool Worthwhile() => _heard > Confirmed && !_queue.Any(item => item.Position >= _heard) && !(_saved >= _heard);

        // A position is heard with the message's header, and its meaning is handled after that.
        void Read()
        {
            if (_handled)
            {
                _heard = Math.Max(_heard, _script[_read++].Position);
                _handled = false;
                return;
            }

            var step = _script[_read - 1];
            _handled = true;
            if (step.Kind == Kind.Enter)
                _tracker.Enter(step.Xid);
            else if (step.Kind == Kind.Receive)
                _tracker.Receive(step.Xid, new Lsn(step.Position));
            else if (step.Kind == Kind.Leave)
                _tracker.Leave(step.Xid);
            if (step.Kind is Kind.Receive or Kind.Reached)
                _queue.Add((step.Position, step.Kind == Kind.Receive));
        }

        void Beat()
        {
            var hears = _beat == (_hearsBeforeItAsks ? 0 : 1);
            if (_beat < 2)
            {
                _beat++;
                if (hears)
                    _beatHeard = _heard;
                else if (!_tracker.IsIdle())
                    (_beat, _beatHeard) = (0, 0);
                return;
            }

            if (_beatHeard > Confirmed)
                _queue.Add((_beatHeard, false));
            (_beat, _beatHeard) = (0, 0);
        }

        void Confirm(Lsn lsn)
        {
            if (lsn.Value <= _last)
                Broken ??= $"{lsn.Value} was confirmed behind {_last}";
            if (_committed.FirstOrDefault(end => end <= lsn.Value && end > _durable) is > 0 and var lost)
                Broken ??= $"{lsn.Value} was confirmed while the commit at {lost} was not durable";
            _last = lsn.Value;
        }
    }
}
