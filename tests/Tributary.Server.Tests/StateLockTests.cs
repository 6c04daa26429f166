using Tributary.Testing;

namespace Tributary.Server.Tests;

public sealed class StateLockTests
{
    [Fact]
    public void A_second_lock_on_a_folder_names_the_holder()
    {
        var folder = TestFolder.New("lock");
        using var first = StateLock.TryTake(folder, out _);

        var second = StateLock.TryTake(folder, out var failure);

        Assert.NotNull(first);
        Assert.Null(second);
        Assert.Equal(FailureKind.AlreadyRunning, failure!.Kind);
        Assert.Contains($"pid {Environment.ProcessId}", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_freed_lock_can_be_taken_again()
    {
        var folder = TestFolder.New("lock");
        StateLock.TryTake(folder, out _)!.Dispose();

        using var again = StateLock.TryTake(folder, out var failure);

        Assert.NotNull(again);
        Assert.Null(failure);
    }

    [Fact]
    public void A_folder_goes_only_when_nothing_of_anyone_else_is_in_it()
    {
        var made = Path.Combine(TestFolder.New("lock"), "made");
        var stateLock = StateLock.TryTake(made, out _)!;
        File.WriteAllText(Path.Combine(made, "notes.txt"), "mine");
        stateLock.Dispose();

        Assert.False(stateLock.RemoveFolder());
        File.Delete(Path.Combine(made, "notes.txt"));
        Assert.True(stateLock.RemoveFolder());
        Assert.False(Directory.Exists(made));
    }

    [Fact]
    public void A_file_in_the_place_of_the_folder_is_an_answer()
    {
        var file = Path.Combine(TestFolder.New("lock"), "file");
        File.WriteAllText(file, "");

        Assert.Null(StateLock.TryTake(file, out var failure));
        Assert.Equal(FailureKind.StateUnusable, failure!.Kind);
    }

    [Fact]
    public void Whether_a_folder_is_held_is_seen_without_taking_it()
    {
        var folder = TestFolder.New("lock");
        Assert.False(StateLock.IsHeld(folder));
        Assert.Empty(Directory.GetFiles(folder));

        using (StateLock.TryTake(folder, out _))
            Assert.True(StateLock.IsHeld(folder));

        Assert.False(StateLock.IsHeld(folder));
    }
}
