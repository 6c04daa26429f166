using Tributary.Postgres;
using Tributary.Streaming.Checkpoints;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Checkpoints;

public sealed class CheckpointFileTests
{
    static readonly Checkpoint Sample = new(CheckpointState.Streaming, "7301234567890123456", "tributary_a", new Lsn(0x1_0000_0028), 1);

    readonly string _path = Path.Combine(TestFolder.New("checkpoint"), "deeper", "a.checkpoint");

    [Fact]
    public void What_was_saved_is_read_with_its_epoch_raised()
    {
        using (var first = new CheckpointFile(_path, "a"))
        {
            Assert.Null(first.Open());
            first.Save(Sample with { State = CheckpointState.Copying });
            first.Save(Sample);
        }

        using (var second = new CheckpointFile(_path, "a"))
            Assert.Equal(Sample with { Epoch = 2 }, second.Open());
        using var third = new CheckpointFile(_path, "a");
        Assert.Equal(Sample with { Epoch = 3 }, third.Open());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_path));
    }

    [Fact]
    public void A_second_instance_is_shut_out_until_the_first_ends()
    {
        using var second = new CheckpointFile(_path, "a");
        using (var first = new CheckpointFile(_path, "a"))
        {
            first.Open();
            Assert.Equal(StreamErrorKind.Fenced, Assert.Throws<StreamException>(second.Open).Kind);
        }

        Assert.Null(second.Open());
    }

    [Fact]
    public void A_file_that_was_half_written_beside_it_does_no_harm()
    {
        Save();
        File.WriteAllText(_path + ".new", "{\"stream\":");

        using var store = new CheckpointFile(_path, "a");
        Assert.Equal(Sample.Position, store.Open()!.Position);
    }

    [Theory]
    [InlineData("1/28", "1/29", "checksum")]
    [InlineData("\n", "", "checksum")]
    public void A_damaged_file_is_refused(string from, string to, string reason)
    {
        Save();
        File.WriteAllText(_path, File.ReadAllText(_path).Replace(from, to, StringComparison.Ordinal));
        Assert.Contains(reason, Refusal("a").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_file_of_another_stream_and_a_folder_that_does_not_serve_are_refused()
    {
        Save();
        Assert.Contains("that of the stream 'a'", Refusal("b").Message, StringComparison.Ordinal);
        using var nowhere = new CheckpointFile(Path.Combine(_path, "x"), "a");
        Assert.Equal(StreamErrorKind.Target, Assert.Throws<StreamException>(nowhere.Open).Kind);
    }

    void Save()
    {
        using var store = new CheckpointFile(_path, "a");
        store.Open();
        store.Save(Sample);
    }

    StreamException Refusal(string stream)
    {
        using var store = new CheckpointFile(_path, stream);
        var refusal = Assert.Throws<StreamException>(store.Open);
        Assert.Equal(StreamErrorKind.Target, refusal.Kind);
        return refusal;
    }
}
