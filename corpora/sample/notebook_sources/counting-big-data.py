# %% [markdown]
# # Counting big data
#
# This notebook shows how counts are made when the data do not fit on one machine or not into memory. The data here are tiny, so every step can be followed by eye. The algorithms are the same ones that large systems use.

# %% [markdown]
# ## Word count with map, shuffle and reduce
#
# A **map step** is a step that turns each record into pairs of a key and a value, independently of all other records. The **shuffle** is the step that brings the values of equal keys together. A **reduce step** is a step that combines the values of one key into a result. The three steps below count words in two lines, and because no step knows more than its own input, each could run on many machines at once.

# %%
lines = ["big data big plans", "data beat plans"]
pairs = [(word, 1) for line in lines for word in line.split()]
groups = {}
# The shuffle: collect the values of equal keys.
for word, one in pairs:
    groups.setdefault(word, []).append(one)
counts = {word: sum(ones) for word, ones in groups.items()}
print(counts)

# %% [markdown]
# ## Saving traffic with a combiner
#
# A **combiner** is a function that adds up pairs on the machine where they arise, before they travel. The result stays the same, since sums can be built in any order. The cell compares how many pairs two machines send with and without a combiner. The more often words repeat on one machine, the more is saved.

# %%
from collections import Counter

machines = ["a b a a c a", "b b a b b c"]
plain = sum(len(text.split()) for text in machines)
combined = [Counter(text.split()) for text in machines]
print(plain, sum(len(counter) for counter in combined))
print(sorted((combined[0] + combined[1]).items()))

# %% [markdown]
# ## Hash partitioning
#
# A **hash function** is a function that turns any key into a number that looks random but is always the same for the same key. **Hash partitioning** assigns a record to the machine whose number is the hash modulo the number of machines. A cryptographic hash is used here, because Python's own hash of text changes from one start to the next. The cell counts how many of 1,000 customers land on each of four machines. The parts are nearly equal although the names are regular.

# %%
from collections import Counter
from hashlib import sha256

customers = [f"customer-{number}" for number in range(1000)]
machines = [int(sha256(name.encode()).hexdigest(), 16) % 4 for name in customers]
print(sorted(Counter(machines).items()))

# %% [markdown]
# ## Adding a machine
#
# The rule "hash modulo number of machines" has a weakness: when a machine is added, most keys get a new place. The cell counts the share of keys that move when four machines become five. In theory it is 80 percent. Consistent hashing moves only about 20 percent, which is why large stores use it.

# %%
from hashlib import sha256

hashes = [int(sha256(f"customer-{number}".encode()).hexdigest(), 16) for number in range(1000)]
moved = sum(value % 4 != value % 5 for value in hashes)
print(f"{moved / 1000:.0%} of the keys move")

# %% [markdown]
# ## Data skew and salting
#
# **Salting** is the splitting of a frequent key into several artificial keys, so that its records spread over several machines. The records below contain one key that makes up most of the work. Before salting, one machine gets all of its 80 records. After salting with four suffixes, the largest part is 20, and a second small step adds the partial counts.

# %%
from collections import Counter

records = ["big-shop"] * 80 + [f"shop-{number}" for number in range(20)]
print(max(Counter(records).values()))
salted = Counter(f"{key}#{i % 4}" if key == "big-shop" else key for i, key in enumerate(records))
print(max(salted.values()))
# The second step takes the suffix off and adds.
print(sum(count for key, count in salted.items() if key.startswith("big-shop")))

# %% [markdown]
# ## Mean and variance in one pass
#
# A **one-pass algorithm** is an algorithm that reads each value once and keeps only a few numbers in memory. Welford's algorithm updates the mean and the sum of squared deviations with every new value. It is preferred to the formula with the sum of squares, because that formula subtracts two huge numbers and loses digits. The values below lie close together at a large distance from zero, and their true sample variance is 30.

# %%
values = [1000000004, 1000000007, 1000000013, 1000000016]
count, mean, squares = 0, 0.0, 0.0
for value in values:
    count += 1
    distance = value - mean
    mean += distance / count
    squares += distance * (value - mean)
print(mean, squares / (count - 1))

# %% [markdown]
# ## Reservoir sampling
#
# **Reservoir sampling** is a method that draws a random sample of fixed size from a stream whose length is not known in advance. The first $k$ items fill the reservoir. Item number $i$ then replaces a random member with probability $k / i$. At every moment each item seen so far is in the reservoir with the same probability. The cell draws 5 of 100 items 2,000 times and counts how often the first and the last item are chosen; both shares should be near 5 percent.

# %%
import random


def draw_sample(stream, size, generator):
    reservoir = []
    for number, item in enumerate(stream, 1):
        if number <= size:
            reservoir.append(item)
        elif generator.random() < size / number:
            reservoir[generator.randrange(size)] = item
    return reservoir


generator = random.Random(1)
samples = [draw_sample(range(100), 5, generator) for _ in range(2000)]
print(sum(0 in s for s in samples) / 2000, sum(99 in s for s in samples) / 2000)

# %% [markdown]
# ## Bloom filter
#
# A **Bloom filter** is a row of bits that remembers a set with errors in one direction only. Each element sets a few bits, whose places are given by hash functions. If one of the bits of a queried element is zero, the element was never added. If all are one, it was probably added. The cell stores 100 names in 1,000 bits with three hash functions and then asks for the 100 stored names and for 1,000 others.

# %%
from zlib import crc32


def find_places(name):
    return [crc32(f"{seed}:{name}".encode()) % 1000 for seed in range(3)]


bits = [False] * 1000
for number in range(100):
    for place in find_places(f"known-{number}"):
        bits[place] = True
found = sum(all(bits[p] for p in find_places(f"known-{n}")) for n in range(100))
alarms = sum(all(bits[p] for p in find_places(f"other-{n}")) for n in range(1000))
print(f"found {found} of 100, false alarms {alarms} of 1000")

# %% [markdown]
# ## Expected false alarms of a Bloom filter
#
# The theory says that about a share $(1 - e^{-kn/m})^k$ of the queries for unknown names gives a false alarm, where $m$ is the number of bits, $n$ the number of elements and $k$ the number of hash functions. The cell computes it for one, three and seven functions. More functions help at first, because more bits have to agree by chance. Too many fill the filter with ones.

# %%
import math

for functions in (1, 3, 7, 20):
    share = (1 - math.exp(-functions * 100 / 1000)) ** functions
    print(functions, f"{share:.4f}")

# %% [markdown]
# ## Count-min sketch
#
# A **count-min sketch** is a small table that estimates how often each key has occurred in a stream. Each row of the table has its own hash function and adds one to one of its counters for every item. The estimate is the minimum over the rows, because collisions can only make a counter too large. Therefore, the sketch never underestimates. The cell compares the estimates with the true counts of three keys.

# %%
from zlib import crc32

stream = ["ann"] * 50 + ["bob"] * 20 + [f"guest-{number}" for number in range(200)]
table = [[0] * 40 for _ in range(4)]
for key in stream:
    for row in range(4):
        table[row][crc32(f"{row}:{key}".encode()) % 40] += 1
estimates = {
    key: min(table[row][crc32(f"{row}:{key}".encode()) % 40] for row in range(4)) for key in ("ann", "bob", "guest-7")
}
print(estimates)

# %% [markdown]
# ## Counting distinct visitors
#
# A **distinct count** is the number of different values in a stream. Keeping all values would need too much memory. The trick is to hash every value to a number between zero and one: if the $k$-th smallest hash is $h$, there are about $(k - 1) / h$ different values. Repeated visitors do not matter, because equal values have equal hashes. The cell estimates 5,000 distinct visitors from only the 200 smallest hashes. The error of such an estimate is about one divided by the square root of $k$, here 7 percent.

# %%
from hashlib import sha256


def hash_fraction(text):
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / 2**64


visits = [f"visitor-{number % 5000}" for number in range(20000)]
smallest = sorted({hash_fraction(visit) for visit in visits})[:200]
print(round(199 / smallest[-1]))

# %% [markdown]
# ## Inverted index
#
# An **inverted index** is a table that lists, for each word, the documents that contain it. A search engine looks up the lists of the query words and intersects them, so it never reads the documents themselves. Building the index is again a map and a reduce: the pairs are (word, document). The cell finds the documents that contain both words of a query.

# %%
documents = {1: "cheap red shoes", 2: "red wine", 3: "red running shoes"}
index = {}
for number, text in documents.items():
    for word in text.split():
        index.setdefault(word, set()).add(number)
print(sorted(index["red"] & index["shoes"]))

# %% [markdown]
# ## Tumbling windows
#
# A **tumbling window** is a window of fixed length that starts where the one before it ends, so that each event belongs to exactly one window. The window of an event is its event time divided by the length, rounded down. The events below arrive out of order. The result is right all the same, because the cell uses the time at which the events happened and not the order of their arrival.

# %%
events = [(3, 10), (12, 5), (7, 20), (65, 1), (61, 4), (14, 5)]
totals = {}
for second, amount in events:
    start = second // 10 * 10
    totals[start] = totals.get(start, 0) + amount
dict(sorted(totals.items()))
